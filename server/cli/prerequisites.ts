/** `keyscaler prerequisites`: what the guide's installer script did before the wizard; shown, and with --install done. */
import { access, chown, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { didYouMean } from '../../lib/service/did-you-mean.ts'
import { observeHost } from '../checks/host.ts'
import { openCommands } from '../install/prerequisites/commands.ts'
import { type PackageNames, packageNamesFor } from '../install/prerequisites/package-names.ts'
import type { Prerequisite, PrerequisiteGround } from '../install/prerequisites/prerequisite.ts'
import { type PrerequisiteRow, prerequisites, runPrerequisites } from '../install/prerequisites/prerequisites.ts'
import { makeStateFolder } from '../install/state-folder.ts'
import { fixedPorts } from '../steps/port-check.ts'
import { wizardTls } from '../web/wizard-tls.ts'
import { ending, portFrom, printable, say, usageError } from './console.ts'

interface PrerequisiteFlags {
  readonly state: string
  readonly install: boolean
  readonly kafka: boolean
  readonly without: readonly string[]
  readonly open: readonly string[]
  readonly output: 'text' | 'json'
}

/** Devices reach the DAE, administrators the CP; all else is between services. */
const openPorts = fixedPorts.filter(({ service }) => service === 'dae' || service === 'cp').map(({ port }) => port)

const collect = (typed: string, before: readonly string[]) => [...before, typed]

export function registerPrerequisites(program: Command, defaultState: string): void {
  program
    .command('prerequisites')
    .description('Shows what an install needs around it, and what brings it. Exit code 4: something is missing.')
    .option('--install', 'bring what is missing (as root; Debian and Ubuntu by apt, RHEL family by dnf)', false)
    .option('--state <folder>', 'state folder of the install to be: generated passwords are kept there', defaultState)
    .option('--kafka', 'Kafka will run on this machine, too: it needs Java', false)
    .option('--without <item>', 'leave an item out, e.g. a database on another machine (again for each)', collect, [])
    .option(
      '--open <port>',
      'port that others must reach, instead of those of DAE and CP (again for each)',
      collect,
      []
    )
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((flags: PrerequisiteFlags) => ending(() => run(flags)))
}

async function run(flags: PrerequisiteFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const items = chosen(flags)
  const host = await observeHost(stateDir)
  const names = await packageNamesFor(host)
  if (flags.install) refuseInstall(names, host.system)
  const text = flags.output === 'text'
  const ground = await groundFor(stateDir, names, host.clockSynchronised, flags)
  const rows = await runPrerequisites(items, ground, flags.install, (row) => text && tell(row))
  const changed = rows.some(({ state }) => state === 'brought')
  if (!text) {
    const manager = names?.manager ?? null
    process.stdout.write(`${JSON.stringify({ system: host.system, manager, changed, items: rows }, null, 2)}\n`)
  }
  if (text && names === null) say(`${host.system}: its packages are not known here, so nothing can be installed.`)
  const failed = rows.filter(({ state }) => state === 'failed')
  if (failed.length > 0) throw new AppError('deploy-failed', failed.map((row) => `${row.title}: ${row.say}`).join('\n'))
  process.exitCode = rows.some(({ state }) => state === 'missing') ? 4 : 0
}

function refuseInstall(names: PackageNames | null, system: string): void {
  if (names === null) {
    throw new AppError('check-failed', `${system}: its packages are not known here, so nothing is installed.`, {
      cure: 'Run it without --install: it shows what is missing.'
    })
  }
  if (process.getuid?.() !== 0) {
    throw new AppError('forbidden', 'Only root may install.', { cure: 'Run it by sudo, or without --install.' })
  }
}

function chosen({ kafka, without }: PrerequisiteFlags): readonly Prerequisite[] {
  const all = [...prerequisites, certificate]
  const ids = all.map(({ id }) => id)
  for (const typed of without) {
    if (ids.includes(typed)) continue
    throw usageError(`There is no item ${typed} (${ids.join(', ')}).${didYouMean(typed, ids)}`)
  }
  // A server elsewhere has its database elsewhere.
  const left = without.includes('database-server') ? [...without, 'database'] : without
  return all.filter(({ id }) => !left.includes(id) && (id !== 'java' || kafka))
}

async function groundFor(
  stateDir: string,
  names: PackageNames | null,
  clockSynchronised: boolean | null,
  { open }: PrerequisiteFlags
): Promise<PrerequisiteGround> {
  // What administrators run is not on everybody's PATH.
  const commands = openCommands(`${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec`)
  const isBooted = await access('/run/systemd/system').then(
    () => true,
    () => false
  )
  return {
    commands,
    names,
    isRoot: process.getuid?.() === 0,
    hasUnits: isBooted && (await commands.find('systemctl')) !== null,
    clockSynchronised,
    stateDir,
    ports: open.length === 0 ? openPorts : open.map((typed) => portFrom(typed, '--open')),
    keep: async (path, content) => {
      await writePrivateFile(path, content)
      await giveToOwner(stateDir, [dirname(path), path])
    }
  }
}

/** Root writes for the user who will run the wizard: the owner of the state folder, when it is there. */
async function giveToOwner(stateDir: string, paths: readonly string[]): Promise<void> {
  const { uid, gid } = await stat(stateDir)
  if (uid === process.getuid?.()) return
  for (const path of paths) await chown(path, uid, gid)
}

const certificate: Prerequisite = {
  id: 'certificate',
  title: 'Certificate of the wizard',
  look: async ({ stateDir, isRoot }) => {
    const path = join(stateDir, 'tls', 'wizard-web.crt')
    if ((await readPrivateFile(path).catch(() => null)) !== null) {
      return { state: 'there', say: `${path}.`, commands: [] }
    }
    if (!isRoot) return { state: 'unknown', say: 'keyscaler serve makes one when it is not on loopback.', commands: [] }
    return {
      state: 'missing',
      say: 'keyscaler serve makes one that is its own when it is not on loopback; or give it yours.',
      commands: ['keyscaler serve --host 0.0.0.0 --tls-certificate wizard.pem --tls-key wizard.key'],
      bring: async () => {
        await makeStateFolder(stateDir)
        const made = await wizardTls({ host: '0.0.0.0', allowedHosts: [] }, stateDir)
        if (made?.fingerprint !== undefined) say(`SHA-256 of the wizard's certificate: ${made.fingerprint}`)
        const folder = dirname(path)
        await giveToOwner(stateDir, [folder, path, join(folder, 'wizard-web.key')])
      }
    }
  }
}

function tell({ title, state, say: words, commands }: PrerequisiteRow): void {
  const lines = [`${state.padEnd(8)} ${title.padEnd(28)} ${words}`]
  if (state !== 'there' && state !== 'brought') lines.push(...commands.map((command) => `           ${command}`))
  process.stdout.write(`${printable(lines.join('\n'))}\n`)
}
