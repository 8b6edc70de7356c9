/** What comes as a package and runs as a unit: time synchronisation, database server, memcached; Java has no unit. */
import { AppError } from '../../../lib/errors/app-error.ts'
import { shellText } from './commands.ts'
import type { PackageNames } from './package-names.ts'
import type { Look, Prerequisite, PrerequisiteGround } from './prerequisite.ts'

type PackageRow = 'time' | 'databaseServer' | 'memcached' | 'java'

interface PackageSpec {
  readonly id: string
  readonly title: string
  readonly row: PackageRow
  /** One of them is enough. */
  readonly programs: readonly string[]
  /** One of them must run, where there are units; none: nothing has to run. */
  readonly units: readonly string[]
}

const specs: readonly PackageSpec[] = [
  {
    id: 'time',
    title: 'Time synchronisation',
    row: 'time',
    programs: ['chronyd', 'ntpd'],
    units: ['chrony', 'chronyd', 'ntp', 'ntpd', 'ntpsec', 'systemd-timesyncd']
  },
  {
    id: 'database-server',
    title: 'Database server',
    row: 'databaseServer',
    programs: ['mariadbd', 'mysqld'],
    units: ['mariadb', 'mysql', 'mysqld']
  },
  { id: 'memcached', title: 'memcached', row: 'memcached', programs: ['memcached'], units: ['memcached'] },
  { id: 'java', title: 'Java for a Kafka on this machine', row: 'java', programs: ['java'], units: [] }
]

export const packagePrerequisites: readonly Prerequisite[] = specs.map((spec) => ({
  id: spec.id,
  title: spec.title,
  look: (ground) => look(spec, ground)
}))

async function look(spec: PackageSpec, ground: PrerequisiteGround): Promise<Look> {
  const { commands, names, clockSynchronised, hasUnits } = ground
  if (spec.id === 'time' && clockSynchronised === true) return there('The clock is synchronised.')
  const program = await firstOf(spec.programs, async (name) => (await commands.find(name)) !== null)
  const unit = hasUnits ? await firstOf(spec.units, (name) => isActive(ground, name)) : null
  if (unit !== null) return there(`${unit} runs.`)
  if (program !== null && (spec.units.length === 0 || !hasUnits)) {
    return there(
      `${program} is installed${spec.units.length === 0 ? '' : '; there is no systemd here that would run it'}.`
    )
  }
  if (program === null && spec.id === 'time' && !hasUnits && clockSynchronised === null) {
    return { state: 'unknown', say: 'A machine without systemd: a container has the clock of its host.', commands: [] }
  }
  const say = program === null ? 'Not installed.' : `${program} is installed and does not run.`
  if (names === null) {
    const words = `${say} Install ${spec.programs.join(' or ')} by the means of this system.`
    return { state: 'missing', say: words, commands: [] }
  }
  const bringing =
    program === null
      ? [...installing(names, spec.row), ...starting(ground, names, spec.row)]
      : starting(ground, names, spec.row)
  return {
    state: 'missing',
    say,
    commands: bringing.map(shellText),
    bring: async () => {
      for (const argv of bringing) await mustRun(ground, argv)
    }
  }
}

const there = (say: string): Look => ({ state: 'there', say, commands: [] })

function installing(names: PackageNames, row: PackageRow): string[][] {
  const { package: name } = names[row]
  return names.manager === 'apt'
    ? [
        ['apt-get', 'update'],
        ['apt-get', 'install', '--yes', '--no-install-recommends', name]
      ]
    : [['dnf', 'install', '--assumeyes', name]]
}

function starting({ hasUnits }: PrerequisiteGround, names: PackageNames, row: PackageRow): string[][] {
  const { unit } = names[row]
  return hasUnits && unit !== undefined ? [['systemctl', 'enable', '--now', unit]] : []
}

async function isActive({ commands }: PrerequisiteGround, unit: string): Promise<boolean> {
  return (await commands.run(['systemctl', 'is-active', '--quiet', unit])).code === 0
}

async function firstOf(names: readonly string[], fits: (name: string) => Promise<boolean>): Promise<string | null> {
  for (const name of names) if (await fits(name)) return name
  return null
}

/** @throws AppError deploy-failed with the end of what it said */
export async function mustRun(
  { commands }: Pick<PrerequisiteGround, 'commands'>,
  argv: readonly string[]
): Promise<void> {
  const { code, words } = await commands.run(argv)
  if (code === 0) return
  const ended = code === null ? 'could not be run' : `ended with ${code}`
  throw new AppError('deploy-failed', `${shellText(argv)} ${ended}: ${words.split('\n').slice(-3).join(' ')}`, {
    cure: 'Mend the cause, then run this again: it goes on from where it stopped.'
  })
}
