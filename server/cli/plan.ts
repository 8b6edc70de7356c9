/** `keyscaler plan`: what apply would do, in lines or as JSON, and its hash. Changes nothing, logs in nowhere. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import type { RawAnswers } from '../install/answers-file.ts'
import { readAnswersFile } from '../install/answers-file.ts'
import { hasInstall } from '../install/boot-file.ts'
import { openInstall } from '../install/install.ts'
import { movedBetween, nothingThere, type Plan, type PlanItem, planAnswers } from '../install/plan.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { answersArgument, ending, printable } from './console.ts'

/** As reference/ux.md has it: opt-in, since a plan with changes is no failure. */
const foundChanges = 10

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
    .action((answers: string | undefined, flags: PlanFlags) => ending(() => runPlan(answers, flags)))
}

async function runPlan(answers: string | undefined, { file, state, output, exitCode }: PlanFlags): Promise<void> {
  const wanted = await readAnswersFile(answersArgument(answers, file), steps)
  const plan = await planOf(resolve(state), wanted.steps)
  process.stdout.write(output === 'json' ? `${JSON.stringify(plan, null, 2)}\n` : planText(plan))
  if (exitCode && plan.changed) process.exit(foundChanges)
}

/**
 * @param stateDir may be absent: nothing is made
 * @throws AppError service-unavailable when a secret is to be compared with one that only the KMS opens, and it does not run
 */
export async function planOf(stateDir: string, wanted: RawAnswers): Promise<Plan> {
  if (!(await hasInstall(stateDir))) return planAnswers(nothingThere(steps), wanted)
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    return await install.plan(wanted)
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

/**
 * @param agreed the hash that was looked at, or a file with the plan itself (plan --output json)
 * @throws AppError conflict with what has moved since
 */
export async function refuseMoved(agreed: string, now: Plan): Promise<void> {
  const before = /^[0-9a-f]{64}$/.test(agreed) ? { hash: agreed, plan: null } : await readPlan(agreed)
  if (before.hash === now.hash) return
  const moved = before.plan === null ? [] : movedBetween(before.plan, now)
  const lines = moved.map(({ was, is }) => `${itemLine(is ?? was ?? never())}${is === null ? ': gone' : ''}`)
  const difference = lines.length === 0 ? planText(now).trimEnd() : lines.join('\n')
  throw new AppError(
    'conflict',
    `The plan is not the one that was agreed on: something has changed since.\n${difference}`,
    {
      cure: 'Look at the plan again (keyscaler plan), then apply that one.'
    }
  )
}

function never(): never {
  throw new AppError('internal', 'an item that is in neither plan')
}

async function readPlan(path: string): Promise<{ readonly hash: string; readonly plan: Plan }> {
  try {
    const plan = JSON.parse(await readFile(path, 'utf8')) as Plan
    if (typeof plan.hash === 'string' && Array.isArray(plan.items)) return { hash: plan.hash, plan }
    throw new Error('it holds no plan')
  } catch (cause) {
    throw new AppError('invalid-input', `--plan takes the hash of a plan, or its file: ${path}: ${messageOf(cause)}`, {
      cause
    })
  }
}
