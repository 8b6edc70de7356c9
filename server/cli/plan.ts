/** `keyscaler plan`: what apply would do, in lines or as JSON, and its hash. Changes nothing, logs in nowhere. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { readAnswersFile } from '../install/answers-file.ts'
import { hasInstall } from '../install/boot-file.ts'
import { openInstall } from '../install/install.ts'
import { movedBetween, nothingThere, type Plan, type PlanItem, planAnswers } from '../install/plan.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import type { Chosen, Planner } from './chosen-steps.ts'
import { answersArgument, ending, printable, usageError } from './console.ts'
import { tellingProblems } from './json-problem.ts'

/** As reference/ux.md has it: opt-in, since a plan with changes is no failure. */
export const foundChanges = 10

interface PlanFlags {
  readonly file?: string
  readonly state: string
  readonly output: 'text' | 'json'
  readonly exitCode: boolean
}

export function registerPlan(program: Command, defaultState: string): void {
  program
    .command('plan [answers]')
    .description('Says what apply would do with an answers file; changes nothing.')
    .option('-f, --file <answers>', 'the answers file')
    .option('--state <folder>', 'state folder of the install', defaultState)
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .option('--exit-code', `end with ${foundChanges} when there is something to change`, false)
    .action((answers: string | undefined, flags: PlanFlags) =>
      ending(() => tellingProblems(flags.output, () => runPlan(answers, flags)))
    )
}

async function runPlan(answers: string | undefined, { file, state, output, exitCode }: PlanFlags): Promise<void> {
  const wanted = await readAnswersFile(answersArgument(answers, file), steps)
  const plan = await withPlanner(resolve(state), (planner) => planner.plan(wanted.steps))
  process.stdout.write(output === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : planText(plan))
  if (exitCode && plan.changed) process.exit(foundChanges)
}

/**
 * @param stateDir may be absent: nothing is made
 * @throws AppError service-unavailable when a secret is to be compared with one that only the KMS opens, and it does not run
 */
export async function withPlanner<T>(stateDir: string, work: (planner: Planner) => Promise<T>): Promise<T> {
  if (!(await hasInstall(stateDir))) return work(emptyHost)
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    return await work(install)
  } catch (thrown) {
    throw withoutKms(thrown)
  } finally {
    await install.close()
  }
}

function withoutKms(thrown: unknown): unknown {
  if (!(thrown instanceof AppError) || thrown.code !== 'service-unavailable') return thrown
  return new AppError(
    thrown.code,
    `${thrown.message} Only it opens the kept secrets that those of the answers file are compared with.`,
    {
      cause: thrown,
      cure: 'Start the services: keyscaler serve. Or run keyscaler apply, which starts them and then plans. A secret that is left out of the file is kept, and needs no comparing.'
    }
  )
}

const emptyHost: Planner = {
  plan: (wanted, options) => planAnswers(nothingThere(steps), wanted, options),
  finishedAt: () => null
}

const signs = { create: '+', change: '~', keep: ' ', leave: '?' } as const

/** One line an effect under its step; the hash last. */
export function planText({ items, changed, hash }: Plan): string {
  const lines = steps.flatMap((step) => {
    const own = items.filter((item) => item.step === step.id)
    return own.length === 0 ? [] : [step.title, ...own.map(itemLine)]
  })
  const counts = (['create', 'change', 'keep', 'leave'] as const).map(
    (action) => `${items.filter((item) => item.action === action).length} ${action}`
  )
  const end = changed ? `Plan: ${counts.join(', ')}.` : 'Nothing to change.'
  return `${[...lines, '', end, `Hash: ${hash}`].map(printable).join('\n')}\n`
}

function itemLine({ action, kind, name, why }: PlanItem): string {
  return `  ${signs[action]} ${action.padEnd(6)} ${kind === 'answers' ? 'answers' : `${kind} ${name}`} (${why})`
}

export interface Agreed {
  readonly hash: string
  /** Null: the hash alone was given. */
  readonly plan: Chosen['plan'] | null
}

/**
 * @param typed the hash that was looked at, or a file with the plan itself (plan --output json)
 * @throws AppError invalid-input
 */
export async function readAgreed(typed: string): Promise<Agreed> {
  return /^[0-9a-f]{64}$/.test(typed) ? { hash: typed, plan: null } : readPlan(typed)
}

/** @throws AppError conflict with what has moved since, or what changes now where only the hash of before is known */
export function refuseMoved({ hash, plan: before }: Agreed, { plan: now, whole }: Chosen): void {
  if (hash === now.hash) return
  throw new AppError('conflict', `The plan is not the one that was agreed on: ${movedText(before, now, whole)}`, {
    cure: 'Look at the plan again (keyscaler plan), then apply that one.'
  })
}

function movedText(before: Agreed['plan'], now: Plan, whole: Plan): string {
  const moved = before === null ? [] : movedBetween(before, before.only === undefined ? whole : now)
  const lines = moved.map(({ was, is }) => `${itemLine(is ?? was ?? never())}${is === null ? ': gone' : ''}`)
  if (lines.length > 0) return `something has changed since.\n${lines.join('\n')}`
  // What is kept says nothing about what has moved.
  const open = now.items.filter(({ action }) => action === 'create' || action === 'change').map(itemLine)
  if (open.length === 0) return 'something has changed since. Now there is nothing to change.'
  return `something has changed since. What would be done now:\n${open.join('\n')}`
}

function never(): never {
  throw new AppError('internal', 'an item that is in neither plan')
}

async function readPlan(path: string): Promise<Agreed> {
  try {
    const plan = JSON.parse(await readFile(path, 'utf8')) as Plan
    if (typeof plan.hash === 'string' && Array.isArray(plan.items)) return { hash: plan.hash, plan }
    throw new Error('it holds no plan')
  } catch (cause) {
    throw usageError(`--plan takes the hash of a plan, or its file: ${path}: ${messageOf(cause)}`, {
      cause
    })
  }
}
