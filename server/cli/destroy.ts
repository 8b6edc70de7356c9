/** `keyscaler destroy`: takes an install away, exactly what its ledger says was made. */
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { hasInstall } from '../install/boot-file.ts'
import { clearState, type DestroyItem, destroyInstall, destroyPlan, removeEmptyState } from '../install/destroy.ts'
import { isBeingDestroyed } from '../install/destroy-record.ts'
import { type Install, openInstall } from '../install/install.ts'
import { takeStateLock } from '../install/state-lock.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { ending, printable, say } from './console.ts'

interface DestroyFlags {
  readonly state: string
  readonly plan: boolean
  readonly yes: boolean
  readonly deleteKeys?: string
  readonly deleteDatabase?: string
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
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((flags: DestroyFlags) => ending(() => runDestroy(flags)))
}

async function runDestroy(flags: DestroyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const known = await hasInstall(stateDir).catch(() => true)
  if (!known && !isBeingDestroyed(stateDir)) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name its state folder: --state.' })
  }
  const unlock = await takeStateLock(stateDir)
  try {
    // Killed after its last effect: only the folder was left to be cleared.
    if (!known) await clearState(stateDir, [])
    else await destroy(stateDir, flags)
  } finally {
    unlock()
  }
  if (!flags.plan) await removeEmptyState(stateDir)
}

async function destroy(stateDir: string, flags: DestroyFlags): Promise<void> {
  const target = processTarget({ stateDir, root })
  const install = await openInstall({ stateDir, steps, target, destroying: true })
  if (flags.plan) return await showPlan(install, flags)
  await askBefore(install, flags)
  const text = flags.output === 'text'
  const { items } = await destroyInstall({
    install,
    steps,
    confirmed: { keys: flags.deleteKeys, database: flags.deleteDatabase },
    report: (item) => text && say(itemLine(item))
  })
  const left = items.filter(({ outcome }) => typeof outcome === 'object')
  if (!text) process.stdout.write(`${JSON.stringify({ install: install.id, items })}\n`)
  say(left.length === 0 ? 'Nothing is left.' : `${left.length} left; they are listed in ${stateDir}/left-behind.json.`)
}

async function showPlan(install: Install, { output }: DestroyFlags): Promise<void> {
  const rows = await destroyPlan({ install })
  await install.close()
  if (output === 'json') return void process.stdout.write(`${JSON.stringify({ install: install.id, rows }, null, 2)}\n`)
  const lines = rows.map(
    ({ kind, name, ours }) => `  ${ours ? '-' : ' '} ${kind} ${name}${ours ? '' : ' (was there before; stays)'}`
  )
  process.stdout.write(`${lines.map(printable).join('\n')}\n`)
}

function itemLine({ kind, name, outcome }: DestroyItem): string {
  const words = typeof outcome === 'object' ? `left: ${outcome.left}` : outcome
  return `  ${kind} ${name}: ${words}`
}

async function askBefore(install: Install, { yes }: DestroyFlags): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY) {
    throw new AppError('invalid-input', 'Destroying an install asks for --yes where nobody can be asked.')
  }
  for (const { kind, name } of await destroyPlan({ install })) say(`  - ${kind} ${name}`)
  const console = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await console.question('Take all of this away? [y/N] ')
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    console.close()
  }
  throw new AppError('conflict', 'Nothing was taken away.')
}
