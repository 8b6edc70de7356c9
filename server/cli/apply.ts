import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { openLog } from '../../lib/log/log.ts'
import { lateLog } from '../../lib/service/late-log.ts'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { deployedAddresses } from '../deploy/deployed-addresses.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { type AnswersFile, readAnswersFile } from '../install/answers-file.ts'
import type { Install } from '../install/install.ts'
import type { FollowedJob } from '../install/jobs/jobs.ts'
import type { Plan } from '../install/plan.ts'
import { refuseSkips, skipTyped } from '../install/skips.ts'
import { steps } from '../install/steps.ts'
import { serve, type Wizard } from '../main.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import { answersArgument, askedToEnd, ending, portFrom, say, sayWarnings } from './console.ts'
import { interrupted, onInterrupt } from './interrupt.ts'
import { planOf, planText, refuseMoved } from './plan.ts'
import { followJob, type JobTeller, jsonTeller, liveTeller, plainTeller, stoppedText, terminalOf } from './tell-job.ts'

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
  const teller = tellerFor(flags.output)
  sayWarnings(teller.say)
  const ended = Promise.race([
    askedToEnd(['SIGTERM', 'SIGHUP']).then(() => {}),
    new Promise<void>((gone) => watchLifeline(gone))
  ])
  let opened: Wizard | null = null
  const interrupt = onInterrupt(() => opened?.install ?? null, teller.say)
  const askedToStop = Promise.race([ended, interrupt.asked])
  const starting = serve({
    stateDir,
    host: '127.0.0.1',
    port,
    allowedHosts: [],
    suggestions: {},
    setup: false,
    showOnce: (step, values) => keepShownOnce(stateDir, step, values, teller.say),
    log: lateLog(() => openLog('wizard', 'warn', teller.say)),
    say: teller.say
  })
  const wizard = await Promise.race([starting, askedToStop.then(() => null)])
  if (wizard === null) {
    starting.catch(() => {}) // A half-made start is what a kill leaves, too: the next one takes it over.
    say('Stopped before anything was begun.')
    process.exit(interrupted)
  }
  opened = wizard
  const { install } = wizard
  const { nothingPending, takenUp } = wizard
  // Mostly all stands, and what is to be done is worked out while the services are looked at. Null: not before that.
  const ahead = nothingPending.then((nothing) => (nothing ? install.plan(file.steps) : null)).catch(() => null)
  const work = async (): Promise<boolean> => {
    await followUntil(takenUp, install, teller)
    if (interrupt.cancelled()) throw new Interrupted('What was interrupted before waits for the next run.')
    const plan = (await ahead) ?? (await install.plan(file.steps))
    if (flags.plan !== undefined) await refuseMoved(flags.plan, plan)
    const chosen = only === undefined ? plan.steps : plan.steps.filter((id) => id === only)
    if (!plan.changed || chosen.length === 0) {
      if (flags.output === 'text') say('Nothing to change.')
      return false
    }
    await askBefore(plan, flags)
    const { beginApply } = await import('../install/jobs/begin.ts')
    const job = beginApply(install, file, chosen, {
      actor: 'answers file',
      showOnce: (step, values) => keepShownOnce(stateDir, step, values, teller.say)
    })
    const how = await followJob(await found(install, job.id), teller)
    const { error } = await job.result
    if (error === undefined) return true
    if (flags.output === 'text') for (const line of stoppedText(how)) say(line)
    if (how.state === 'cancelled') throw new Interrupted('Cancelled.')
    throw error
  }
  const working = work()
  const stopped = async (words: string): Promise<never> => {
    working.catch(() => {}) // What is cut off here is finished by the next run.
    say(`${words} Run this again: it goes on from where it stopped.`)
    await wizard.close(true)
    process.exit(interrupted)
  }
  let changed: boolean
  try {
    const first = await Promise.race([working, askedToStop.then(() => 'interrupted' as const)])
    if (first === 'interrupted') return await stopped('Stopping before all is applied.')
    changed = first
  } catch (thrown) {
    if (thrown instanceof Interrupted) return await stopped(thrown.message)
    // With --exit, services that stand keep standing: a refused plan is no reason to stop an install.
    await wizard.close(!flags.exit)
    throw thrown
  }
  const services = await deployedAddresses(stateDir)
  const { ca } = identityFiles(stateDir, 'wizard')
  process.stdout.write(`${JSON.stringify({ install: install.id, changed, wizard: wizard.url, services, ca })}\n`)
  if (!flags.exit) await askedToStop
  await wizard.close(!flags.exit)
  process.exit(0)
}

/** A person has stopped it. */
class Interrupted extends Error {}

function tellerFor(output: ApplyFlags['output']): JobTeller {
  if (output === 'json') return jsonTeller((line) => process.stdout.write(`${line}\n`), say)
  const terminal = terminalOf(process.stderr, process.env)
  return terminal === null ? plainTeller(say, titleOf) : liveTeller(process.stderr, titleOf, terminal)
}

function titleOf(step: StepId): string {
  return steps.find(({ id }) => id === step)?.title ?? step
}

/** What the start takes up is told, too: a person need not wait before an empty terminal. */
async function followUntil(done: Promise<void>, install: Install, teller: JobTeller): Promise<void> {
  const over = done.then(() => 'over' as const)
  while ((await Promise.race([over, pause(50)])) !== 'over') {
    const running = install.jobs.running()
    if (running !== null) await followJob(await found(install, running.id), teller)
  }
}

async function found(install: Install, id: string): Promise<FollowedJob> {
  const job = await install.jobs.find(id)
  if (job === null) throw new Error(`the job ${id} is not there`)
  return job
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

/** What the form would show once (the participant's secret): into a file that only we may read, never onto the console. */
async function keepShownOnce(
  stateDir: string,
  step: string,
  values: NonNullable<ApplyResult['showOnce']>,
  tell: (line: string) => void
): Promise<void> {
  const path = join(stateDir, 'shown-once', `${step}.txt`)
  await writePrivateFile(path, values.map(({ label, value }) => `${label}: ${value}\n`).join(''))
  tell(`  shown once: ${path} (take it away from there)`)
}
