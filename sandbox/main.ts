#!/usr/bin/env node
/** `npm start`: the sandbox, then the wizard in it; or, unattended, the whole install from the sample answers. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { messageOf } from '../lib/errors/app-error.ts'
import { type SampleFiles, writeSampleFiles } from './answers.ts'
import { takeFolder } from './folder.ts'
import { chooseScenario, lunaScenarios } from './luna/scenarios.ts'
import { freePort, portIsFree } from './ports.ts'
import { fromRoot } from './root.ts'
import { type Sandbox, startSandbox } from './sandbox.ts'
import { startWizard } from './wizard.ts'

interface StartFlags {
  readonly unattended: boolean
  readonly fresh: boolean
  readonly state: string
  readonly port?: string
  readonly lunaShim?: string
}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

const program = new Command('npm start --').description('A sandbox on this machine, and the setup wizard in it.')
program
  .command('start', { isDefault: true })
  .option('--unattended', 'install everything from the sample answers, and keep it running', false)
  .option('--fresh', 'forget what an earlier sandbox left', false)
  .option('--state <folder>', 'where the sandbox lives', fromRoot('.sandbox'))
  .option('--port <number>', "the wizard's port (8080 where it is free)")
  .option('--luna-shim <scenario>', 'a bad day of the partition, e.g. locked; an unknown name lists them')
  .action(async (flags: StartFlags) => {
    if (flags.lunaShim !== undefined && !Object.hasOwn(lunaScenarios, flags.lunaShim)) {
      say(`There is no scenario "${flags.lunaShim}". These there are:`)
      for (const [name, { title }] of Object.entries(lunaScenarios)) say(`  ${name.padEnd(18)} ${title}`)
      process.exitCode = 2
      return
    }
    try {
      process.exitCode = await start(flags)
    } catch (error) {
      say(`Cannot start: ${messageOf(error)}`)
      process.exitCode = 1
    }
  })
await program.parseAsync()

async function start(flags: StartFlags): Promise<number> {
  const began = performance.now()
  const dir = resolve(flags.state)
  takeFolder(dir, flags.fresh)
  const sandbox = await startSandbox({ dir, report: (line) => say(`  ${line}`) })
  try {
    const files = await writeSampleFiles(sandbox)
    await chooseScenario(sandbox.luna.confPath, flags.lunaShim)
    if (flags.lunaShim !== undefined)
      say(`Partition scenario "${flags.lunaShim}": ${lunaScenarios[flags.lunaShim]?.title}.`)
    say(`Sandbox up in ${((performance.now() - began) / 1000).toFixed(1)} s.\n`)
    if (!flags.unattended) sayAtHand(sandbox, files)
    return await runWizard(sandbox, await wizardArgs(flags, files))
  } finally {
    await sandbox.stop()
    say('Sandbox stopped.')
  }
}

async function wizardArgs(flags: StartFlags, { answers, state }: SampleFiles): Promise<string[]> {
  if (flags.unattended) return ['apply', answers, '--state', state]
  const port = flags.port ?? String((await portIsFree(8080)) ? 8080 : await freePort())
  return ['serve', '--state', state, '--suggestions', answers, '--port', port]
}

/** Until the wizard ends by itself or we are asked to; then it stops its services before we stop the servers. */
async function runWizard(sandbox: Sandbox, args: readonly string[]): Promise<number> {
  const wizard = startWizard(sandbox, args)
  let asked = false
  const onSignal = (): void => {
    if (!asked) wizard.stop()
    asked = true
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  const code = await wizard.ended
  return asked ? 0 : code
}

function sayAtHand({ mariadb, memcached, kafka, luna, nss }: Sandbox, { passwords, answers }: SampleFiles): void {
  say('To have at hand (the fields are filled in already, passwords apart):')
  say(`  Database    ${mariadb.host}:${mariadb.port}, user ${mariadb.user}`)
  say(`  Key store   Gemalto SafeNet: slot ${luna.slot}, partition ${luna.label}; or NSS in ${nss.folder}`)
  say(`  Memcached   ${memcached.server}`)
  say(`  Kafka       ${kafka.brokers.join(', ')}${kafka.kind === 'mock' ? ' (a mock cluster)' : ''}`)
  say(`  Passwords   ${passwords}`)
  say(`  Answers     ${answers}\n`)
}
