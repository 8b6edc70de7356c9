/** `keyscaler destroy`: takes an install away, exactly what its ledger says was made. */
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import { compiledCode } from '../../lib/keystore/compiled-code.mjs'
import { processTarget } from '../deploy/targets/process.ts'
import { hasInstall } from '../install/boot-file.ts'
import {
  type DestroyItem,
  type DestroyTask,
  destroyInstall,
  forgetDestroy,
  removeEmptyState
} from '../install/destroy.ts'
import {
  type DestroyForecast,
  destroyForecast,
  refuseOtherNames,
  refuseUnreadable
} from '../install/destroy-forecast.ts'
import { isBeingDestroyed } from '../install/destroy-record.ts'
import { type Install, openInstall } from '../install/install.ts'
import { takeStateLock } from '../install/state-lock.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { ending, printable, say, sayWarnings, usageError } from './console.ts'
import { toldBy, type WorkTask, workTeller } from './tell-work.ts'

interface DestroyFlags {
  readonly state: string
  readonly plan: boolean
  readonly yes: boolean
  readonly deleteKeys?: string
  readonly deleteDatabase?: string
  readonly leaveUnreadable?: string
  readonly gone: readonly ('database' | 'kafka')[]
  readonly output: 'text' | 'json'
}

export function registerDestroy(program: Command, defaultState: string): void {
  program
    .command('destroy')
    .description('Takes an install away: what its ledger says was made, and nothing else.')
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--plan', 'say what would be taken away; change nothing', false)
    .option('--yes', 'do not ask; needed where nobody can be asked', false)
    .option('--delete-keys <label>', 'label of the token: destroy the keys of this install in it')
    .option('--delete-database <name>', 'drop the database although devices are enrolled in it')
    .option('--leave-unreadable <name>', 'destroy the keys although the database that they open is left')
    .addOption(
      program
        .createOption('--gone <what...>', 'it is gone for good: take away the rest, and list what was in it')
        .choices(['database', 'kafka'])
        .default([], 'nothing')
    )
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((flags: DestroyFlags) => ending(() => runDestroy(flags)))
}

async function runDestroy(flags: DestroyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const known = await hasInstall(stateDir).catch(() => true)
  if (!known && !isBeingDestroyed(stateDir)) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name its state folder: --state.' })
  }
  // A look changes nothing, and may be had while services run.
  if (flags.plan) return await plan(stateDir, known, flags)
  const unlock = await takeStateLock(stateDir)
  try {
    if (known) await destroy(stateDir, flags)
    else await forgetDestroy(stateDir)
  } finally {
    unlock()
  }
  await removeEmptyState(stateDir)
}

async function plan(stateDir: string, known: boolean, flags: DestroyFlags): Promise<void> {
  if (!known) return say(`All is taken away; keyscaler destroy clears ${stateDir}.`)
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }), destroying: true })
  try {
    const { confirmed, gone } = wishes(flags)
    await refuseOtherNames(install, confirmed)
    showPlan(install, await destroyForecast(install, confirmed, gone), flags)
  } finally {
    await install.close()
  }
}

function wishes({ deleteKeys: keys, deleteDatabase: database, leaveUnreadable: unreadable, gone }: DestroyFlags) {
  const confirmed = { keys, database, unreadable }
  return { confirmed, gone: { database: gone.includes('database'), kafka: gone.includes('kafka') } }
}

async function destroy(stateDir: string, flags: DestroyFlags): Promise<void> {
  const target = processTarget({ stateDir, root })
  const install = await openInstall({ stateDir, steps, target, destroying: true })
  const { confirmed, gone } = wishes(flags)
  await refuseOtherNames(install, confirmed)
  const forecast = await destroyForecast(install, confirmed, gone)
  refuseUnreadable(forecast, confirmed)
  await askBefore(forecast, flags)
  const teller = workTeller(flags.output, tasksOf(forecast), 'Ctrl-C ends it; run again, it goes on from there.')
  sayWarnings(teller.say)
  const { items } = await toldBy(teller, () =>
    destroyInstall({
      install,
      steps,
      confirmed,
      gone,
      watch: {
        begins: teller.begin,
        phase: teller.phase,
        done: (item) => teller.done(itemLine(item), { type: 'effect', ...item })
      }
    })
  )
  const left = items.filter(({ outcome }) => typeof outcome === 'object')
  if (flags.output === 'json') process.stdout.write(`${JSON.stringify({ install: install.id, items })}\n`)
  if (left.length === 0) say('Nothing is left.')
  else {
    say(`${left.length} left; they are listed in ${stateDir}/left-behind.json:`)
    for (const item of left) say(itemLine(item))
  }
  sayCompiled()
}

const taskTitles: Readonly<Record<DestroyTask, string>> = {
  topic: 'Topics of Kafka',
  service: 'Services',
  certificate: 'Certificates',
  'certificate-authority': 'Certificate authorities',
  key: 'Keys',
  'key-store': 'Software key store',
  credential: 'Credentials',
  administrator: 'Administrators',
  license: 'License',
  tenant: 'Tenants',
  'database-user': 'Database users',
  migration: 'Tables',
  schema: 'Database',
  around: 'State folder'
}

/** One a kind, in the order in which they are gone through; a tick must not say that gone is what stays. */
function tasksOf({ rows }: DestroyForecast): WorkTask[] {
  const ours = rows.filter((row) => row.ours)
  const ids = new Set<DestroyTask>(ours.map(({ kind }) => kind)).add('around')
  const going = new Set<DestroyTask>(ours.filter(({ stays }) => stays === null).map(({ kind }) => kind)).add('around')
  return [...ids].map((id) => ({ id, title: going.has(id) ? taskTitles[id] : `${taskTitles[id]}: they stay` }))
}

/** Shared by all installs of this user on this machine, and made again by whoever needs it: not ours to take away. */
function sayCompiled(): void {
  const { NODE_COMPILE_CACHE: folder } = compiledCode()
  if (folder !== undefined) say(`Compiled code that other installs of this user share stays in ${folder}.`)
}

function showPlan(install: Install, forecast: DestroyForecast, { output }: DestroyFlags): void {
  if (output === 'json')
    return void process.stdout.write(`${JSON.stringify({ install: install.id, ...forecast }, null, 2)}\n`)
  process.stdout.write(`${forecastLines(forecast).map(printable).join('\n')}\n`)
}

function forecastLines({ rows, unreadable }: DestroyForecast): string[] {
  const lines = rows.map(({ kind, name, stays }) =>
    stays === null ? `  - ${kind} ${name}` : `    ${kind} ${name} (stays: ${stays})`
  )
  return unreadable === null ? lines : [...lines, unreadable.say]
}

function itemLine({ kind, name, outcome }: DestroyItem): string {
  const words = typeof outcome === 'object' ? `left: ${outcome.left}` : outcome
  return `  ${kind} ${name}: ${words}`
}

async function askBefore(forecast: DestroyForecast, { yes }: DestroyFlags): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY) {
    throw usageError('Destroying an install asks for --yes where nobody can be asked.')
  }
  for (const line of forecastLines(forecast)) say(line)
  const console = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await console.question('Take all of this away? [y/N] ')
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    console.close()
  }
  throw new AppError('conflict', 'Nothing was taken away.')
}
