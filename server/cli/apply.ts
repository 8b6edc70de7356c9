import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { deployedAddresses } from '../deploy/deployed-addresses.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { readAnswersFile } from '../install/answers-file.ts'
import type { Install } from '../install/install.ts'
import type { FollowedJob } from '../install/jobs/jobs.ts'
import { currentStep } from '../install/progress.ts'
import { steps } from '../install/steps.ts'
import type { Wizard } from '../main.ts'
import { Interrupted, isAgreed, keepShownOnce, nothingApplied, startWizard } from './begin-apply.ts'
import { type Chosen, choose, onlyStep, othersText, titleOf } from './chosen-steps.ts'
import { answersArgument, askedToEnd, ending, portFrom, say, sayWarnings } from './console.ts'
import { interrupted, onInterrupt } from './interrupt.ts'
import { alreadyTold, tellingProblems } from './json-problem.ts'
import { notAllReady, notReady } from './not-ready.ts'
import { foundChanges, planText, readAgreed, refuseMoved, withPlanner } from './plan.ts'
import { followJob, type JobTeller, jsonTeller, liveTeller, plainTeller, stoppedText, terminalOf } from './tell-job.ts'
import { withSkips } from './typed-skips.ts'

interface ApplyFlags {
  readonly file?: string
  readonly state: string
  readonly exit: boolean
  readonly port: string
  readonly dryRun: boolean
  readonly exitCode: boolean
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
    .option('--exit-code', `with --dry-run: end with ${foundChanges} when there is something to change`, false)
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
      ending(() => tellingProblems(flags.output, async () => runApply(answersArgument(answers, flags.file), flags)))
    )
}

async function runApply(answersFile: string, flags: ApplyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const port = portFrom(flags.port)
  const file = withSkips(await readAnswersFile(answersFile, steps), flags.skip)
  const only = onlyStep(flags.only)
  const agreed = flags.plan === undefined ? null : await readAgreed(flags.plan)
  const planned = () => withPlanner(stateDir, (planner) => choose(planner, file.steps, only))
  if (flags.dryRun) return tellPlan(await planned(), flags)
  const teller = tellerFor(flags.output)
  sayWarnings(teller.say)
  const ended = Promise.race([
    askedToEnd(['SIGTERM', 'SIGHUP']).then(() => {}),
    new Promise<void>((gone) => watchLifeline(gone))
  ])
  let opened: Wizard | null = null
  const interrupt = onInterrupt(() => opened?.install ?? null, teller.say)
  const askedToStop = Promise.race([ended, interrupt.asked])
  // Half a start is what a kill leaves, too: the next one takes it over.
  const { wizard, isNew, ranBefore } = await Promise.race([
    startWizard({ stateDir, port, flags, agreed, planned, teller }),
    askedToStop.then(() => {
      throw new Interrupted('Stopped before anything was begun.')
    })
  ]).catch((thrown) => {
    if (!(thrown instanceof Interrupted)) throw thrown
    say(thrown.message)
    process.exit(interrupted)
  })
  opened = wizard
  const { install } = wizard
  const { nothingPending, takenUp } = wizard
  let begun = false
  // Until something is begun, or taken up where it was cut off, what ran before goes on running: a refused plan is no reason to
  // stop an install.
  const isOurs = () => begun || install.jobs.running() !== null || ranBefore.length === 0
  const close = (services: boolean) => wizard.close(services && isOurs())
  // Mostly all stands, and what is to be done is worked out while the services are looked at. Null: not before that.
  const chosenNow = (servicesUnseen: boolean) => choose(install, file.steps, only, { servicesUnseen })
  const ahead = nothingPending.then((nothing) => (nothing ? chosenNow(true) : null)).catch(() => null)
  const wasFinished = install.finishedAt() !== null
  const stillOpen = () => openText(install, wasFinished, answersFile).catch(() => null)
  const work = async (): Promise<boolean> => {
    await followUntil(takenUp, install, teller)
    if (interrupt.cancelled()) throw new Interrupted(`What was interrupted before waits for the next run. ${goesOn}`)
    const stand = notReady(install).length === 0
    const chosen = (stand ? await ahead : null) ?? (await chosenNow(false))
    if (agreed !== null) refuseMoved(agreed, chosen)
    if (!chosen.plan.changed) {
      if (flags.output === 'text') for (const line of await nothingText(chosen, stillOpen)) say(line)
      return false
    }
    if (!isNew && agreed === null && !(await isAgreed(chosen, flags))) throw new Interrupted(nothingApplied)
    const { beginApply } = await import('../install/jobs/begin.ts')
    begun = true
    const job = beginApply(install, file, chosen.plan.steps, {
      actor: 'answers file',
      showOnce: (step, values) => keepShownOnce(stateDir, step, values, teller.say)
    })
    const how = await followJob(await found(install, job.id), teller)
    const { error } = await job.result
    const open = await stillOpen()
    if (error === undefined) {
      const others = othersText(chosen)
      for (const line of [others, open]) if (line !== null) teller.say(line)
      return true
    }
    if (open !== null && wasFinished) teller.say(open)
    if (flags.output === 'text') for (const line of stoppedText(how)) say(line)
    if (how.state === 'cancelled') throw new Interrupted(`Cancelled. ${goesOn}`)
    // The line that ends the job has it.
    throw alreadyTold(error)
  }
  const working = work()
  const stopped = async (words: string): Promise<never> => {
    working.catch(() => {}) // What is cut off here is finished by the next run.
    say(words)
    await close(true)
    process.exit(interrupted)
  }
  let changed: boolean
  try {
    const first = await Promise.race([working, askedToStop.then(() => 'interrupted' as const)])
    if (first === 'interrupted') return await stopped(`Stopping before all is applied. ${goesOn}`)
    changed = first
  } catch (thrown) {
    if (thrown instanceof Interrupted) return await stopped(thrown.message)
    // With --exit, services that stand keep standing.
    await close(!flags.exit)
    throw thrown
  }
  const services = await deployedAddresses(stateDir)
  const { ca } = identityFiles(stateDir, 'wizard')
  process.stdout.write(`${JSON.stringify({ install: install.id, changed, wizard: wizard.url, services, ca })}\n`)
  const missing = notReady(install)
  if (missing.length > 0 && flags.exit) {
    await wizard.close(false)
    throw notAllReady(missing, stateDir)
  }
  if (missing.length > 0) say(notAllReady(missing, stateDir).message)
  if (!flags.exit) await askedToStop
  await wizard.close(!flags.exit)
  process.exit(0)
}

const goesOn = 'Run this again: it goes on from where it stopped.'

function tellPlan(chosen: Chosen, { output, exitCode }: ApplyFlags): void {
  process.stdout.write(output === 'json' ? `${JSON.stringify(chosen.plan)}\n` : planText(chosen.plan))
  const others = othersText(chosen)
  if (output === 'text' && others !== null) say(others)
  if (exitCode && chosen.plan.changed) process.exit(foundChanges)
}

async function nothingText(chosen: Chosen, stillOpen: () => Promise<string | null>): Promise<readonly string[]> {
  const { plan, whole } = chosen
  if (plan.only === undefined || !whole.changed) return ['Nothing to change.']
  const open = [othersText(chosen), await stillOpen()].filter((line) => line !== null)
  return [`${titleOf(plan.only)} stands as it is wanted.`, ...open]
}

/** What is left open of setup, and how to go on; null: it is finished and locked. */
async function openText(install: Install, wasFinished: boolean, answersFile: string): Promise<string | null> {
  if (install.finishedAt() !== null) return null
  const progress = await install.progress()
  const open = progress.filter(({ state }) => state !== 'done').map(({ title }) => title)
  const list = (open.length === 0 ? [currentStep(progress).title] : open).join(', ')
  return `Setup is ${wasFinished ? 'open again' : 'not finished'}; still to do: ${list}. keyscaler apply ${answersFile} does all of it, or go on in the wizard (keyscaler serve).`
}

function tellerFor(output: ApplyFlags['output']): JobTeller {
  if (output === 'json') return jsonTeller((line) => process.stdout.write(`${line}\n`), say)
  const terminal = terminalOf(process.stderr, process.env)
  return terminal === null ? plainTeller(say, titleOf) : liveTeller(process.stderr, titleOf, terminal)
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
