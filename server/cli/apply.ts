import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { openLog } from '../../lib/log/log.ts'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { identityFiles } from '../deploy/service-identity.ts'
import { type AnswersFile, readAnswersFile } from '../install/answers-file.ts'
import type { Install } from '../install/install.ts'
import { beginApply } from '../install/jobs/begin.ts'
import type { JobEvent } from '../install/jobs/job.ts'
import type { Plan } from '../install/plan.ts'
import { refuseSkips, skipTyped } from '../install/skips.ts'
import { steps } from '../install/steps.ts'
import { serve } from '../main.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import { answersArgument, askedToEnd, ending, portFrom, say } from './console.ts'
import { planOf, planText, refuseMoved } from './plan.ts'

/** As a shell has it for an interrupted program. */
const interrupted = 130

interface ApplyFlags {
  readonly file?: string
  readonly state: string
  readonly exit: boolean
  readonly port: string
  readonly dryRun: boolean
  readonly plan?: string
  readonly only?: string
  readonly skip: readonly string[]
  readonly yes: boolean
  readonly input: boolean
  readonly output: 'text' | 'json'
}

export function registerApply(program: Command, defaultState: string): void {
  program
    .command('apply [answers]')
    .description('Installs from an answers file, then keeps the services running until SIGTERM.')
    .option('-f, --file <answers>', 'the answers file')
    .option('--state <folder>', 'where boot file, credentials, logs and run files are', defaultState)
    .option('--port <number>', 'port of the status page on 127.0.0.1 (0: any free one)', '0')
    .option('--exit', 'end when all is applied; the services go on, a later serve adopts them', false)
    .option('--dry-run', 'say what would be done, as keyscaler plan', false)
    .option('--plan <hash>', 'do only what was agreed on: the hash of keyscaler plan, or its JSON in a file')
    .option('--only <step>', 'submit this step and no other')
    .option(
      '--skip <check=reason>',
      'leave a check out, if it is not a strict one; the reason is kept (again for each check)',
      (typed: string, before: readonly string[]) => [...before, typed],
      []
    )
    .option('--yes', 'do not ask before changes (asked on a terminal only)', false)
    .option('--no-input', 'never ask anything')
    .addOption(
      program.createOption('--output <format>', 'how progress is told').choices(['text', 'json']).default('text')
    )
    .action((answers: string | undefined, flags: ApplyFlags) =>
      ending(() => runApply(answersArgument(answers, flags.file), flags))
    )
}

async function runApply(answersFile: string, flags: ApplyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const port = portFrom(flags.port)
  const file = withSkips(await readAnswersFile(answersFile, steps), flags.skip)
  const only = onlyStep(flags.only)
  if (flags.dryRun) {
    const plan = await planOf(stateDir, file.steps)
    process.stdout.write(flags.output === 'json' ? `${JSON.stringify(plan)}\n` : planText(plan))
    return
  }
  const tell = flags.output === 'json' ? jsonLines() : textLines()
  const ended = Promise.race([askedToEnd(), new Promise<void>((gone) => watchLifeline(gone))])
  const wizard = await serve({
    stateDir,
    host: '127.0.0.1',
    port,
    allowedHosts: [],
    suggestions: {},
    setup: false,
    showOnce: (step, values) => keepShownOnce(stateDir, step, values),
    log: openLog('wizard', 'warn'),
    say
  })
  const { install } = wizard
  const work = async (): Promise<boolean> => {
    await wizard.takenUp
    const plan = await install.plan(file.steps)
    if (flags.plan !== undefined) await refuseMoved(flags.plan, plan)
    const chosen = only === undefined ? plan : { ...plan, steps: plan.steps.filter((id) => id === only) }
    if (!plan.changed || chosen.steps.length === 0) {
      tell.nothing()
      return false
    }
    await askBefore(plan, flags)
    const job = beginApply(install, file, chosen.steps, {
      actor: 'answers file',
      showOnce: (step, values) => keepShownOnce(stateDir, step, values)
    })
    await followApply(install, job.id, tell)
    const { error } = await job.result
    if (error !== undefined) throw error
    return true
  }
  const working = work()
  let changed: boolean
  try {
    const first = await Promise.race([working, ended.then(() => 'interrupted' as const)])
    if (first === 'interrupted') {
      working.catch(() => {}) // What is cut off here is finished by the next run.
      say('Stopping before all is applied. Run this again: it goes on from where it stopped.')
      await wizard.close(true)
      process.exit(interrupted)
    }
    changed = first
  } catch (thrown) {
    // With --exit, services that stand keep standing: a refused plan is no reason to stop an install.
    await wizard.close(!flags.exit)
    throw thrown
  }
  const services = Object.fromEntries((await install.target.status()).map(({ name, address }) => [name, address]))
  const { ca } = identityFiles(stateDir, 'wizard')
  process.stdout.write(`${JSON.stringify({ install: install.id, changed, wizard: wizard.url, services, ca })}\n`)
  if (!flags.exit) await ended
  await wizard.close(!flags.exit)
  process.exit(0)
}

/** What is typed goes before what the file says of the same check. @throws AppError invalid-input before anything is done */
function withSkips(file: AnswersFile, typed: readonly string[]): AnswersFile {
  const asked = typed.map(skipTyped)
  refuseSkips(asked)
  const last = new Map([...(file.skip ?? []), ...asked].map(({ check, reason }) => [check, reason]))
  const skip = [...last].map(([check, reason]) => ({ check, reason }))
  return { ...file, skip }
}

function onlyStep(typed: string | undefined): StepId | undefined {
  if (typed === undefined) return undefined
  const step = steps.find(({ id }) => id === typed)
  if (step !== undefined) return step.id
  throw new AppError('invalid-input', `There is no step ${typed} (steps: ${steps.map(({ id }) => id).join(', ')}).`)
}

/** Only a person at a terminal is asked; scripts have said what they want by calling apply. */
async function askBefore(plan: Plan, { yes, input, plan: agreed }: ApplyFlags): Promise<void> {
  if (yes || !input || agreed !== undefined || !process.stdin.isTTY || !process.stderr.isTTY) return
  process.stderr.write(planText(plan))
  const console = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await console.question('Apply this? [y/N] ')
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    console.close()
  }
  throw new AppError('conflict', 'Nothing was applied.')
}

/** Tells what happens in the job until it has ended. */
async function followApply(install: Install, id: string, tell: ReturnType<typeof textLines>): Promise<void> {
  const job = await install.jobs.find(id)
  if (job === null) return
  let last = 0
  let begun = ''
  const tellOne = (event: JobEvent) => {
    last = event.n
    if (event.type === 'phase') tell.phase(event.title)
    if (event.type !== 'step') return
    if (event.state === 'done') return tell.done(event.step, Date.parse(event.at) - Date.parse(begun))
    begun = event.at
    tell.begin(event.step, install.steps.find(({ id: known }) => known === event.step)?.title ?? event.step)
  }
  const stop = job.events.subscribe(() => job.events.after(last).forEach(tellOne))
  await job.ended
  stop()
}

/** For a person: what is being done, on stderr. */
function textLines() {
  return {
    begin: (_step: StepId, title: string) => say(`${title} …`),
    phase: (text: string) => say(`  ${text}`),
    done: (step: StepId, ms: number) => say(`  ${step} done (${ms} ms)`),
    nothing: () => say('Nothing to change.')
  }
}

/** For a program: one JSON object a line, on stdout; the last one is the result. */
function jsonLines() {
  const line = (event: object) =>
    process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`)
  return {
    begin: (step: StepId) => void line({ event: 'begin', step }),
    phase: (text: string) => void line({ event: 'phase', text }),
    done: (step: StepId, ms: number) => void line({ event: 'done', step, ms }),
    nothing: () => void line({ event: 'nothing-to-change' })
  }
}

/** What the form would show once (the participant's secret): into a file that only we may read, never onto the console. */
async function keepShownOnce(
  stateDir: string,
  step: string,
  values: NonNullable<ApplyResult['showOnce']>
): Promise<void> {
  const path = join(stateDir, 'shown-once', `${step}.txt`)
  await writePrivateFile(path, values.map(({ label, value }) => `${label}: ${value}\n`).join(''))
  say(`  shown once: ${path} (take it away from there)`)
}
