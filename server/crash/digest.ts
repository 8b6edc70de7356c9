/**
 * All that an install has left in the world, in words that are the same for two installs from the same answers: names of
 * this one (database, folder, ids) are taken out. Two runs that came to the same end have equal digests.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { openBroker } from '../../lib/broker/broker.ts'
import { sharedSandbox } from '../../sandbox/testing.ts'
import { whatStands } from '../testing/witness.ts'
import type { InstallWorld } from '../testing/world.ts'

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g
/** The PIN guard names its record after the token, the install record is named after its time. */
const token = /(?<=^pin-guard\/)[0-9a-f]{32}(?=\.json)/
const time = /(?<=^records\/)[\dT:Z-]+(?=\.json)/

export type Digest = Readonly<Record<string, unknown>>

/** Counts that say "exactly one"; what a run may add to (audit, outbox, sessions) is not among them. */
const counted = [
  ...['installs', 'kms_keys', 'data_keys', 'tenants', 'administrators', 'participants', 'licenses'],
  ...['certificate_authorities', 'schema_migrations', 'schema_lock', 'devices', 'certificates']
]

export async function digestOf(world: InstallWorld): Promise<Digest> {
  const { database, query, stateDir } = world
  const neutral = neutralOf(world)
  const users = `LIKE '${database.replaceAll('_', '\\_')}\\_%'`
  // What the live check of the database tries its rights on (server/checks/mysql-rights.ts), for this schema.
  const scratch = `keyscaler\\_check\\_${createHash('sha256').update(database).digest('hex').slice(0, 6)}\\_%`
  const rights = await query(
    `SELECT grantee, COUNT(*) AS n FROM information_schema.table_privileges WHERE table_schema = '${database}'
     GROUP BY grantee ORDER BY grantee`
  )
  return {
    ...(await whatStands(world)),
    rows: Object.fromEntries(
      await Promise.all(
        counted.map(async (table) => [table, Number((await query(`SELECT COUNT(*) AS n FROM {db}.${table}`))[0]?.n)])
      )
    ),
    ledger: neutral(await query('SELECT step, kind, name, state, detail FROM {db}.ledger ORDER BY kind, name')),
    answers: neutral(
      await query(
        `SELECT step, answer_values AS typed, JSON_KEYS(secrets) AS secrets FROM {db}.answers a WHERE applied_at IS NOT NULL
         AND revision = (SELECT MAX(revision) FROM {db}.answers b WHERE b.step = a.step) ORDER BY step`
      )
    ),
    tables: (await query(`SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${database}'`))
      .map(({ name }) => name)
      .sort(),
    users: neutral(await query(`SELECT user, host FROM mysql.user WHERE user ${users} ORDER BY user`)),
    rights: neutral(rights),
    scratch: await query(
      `SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE '${scratch}' UNION ALL
       SELECT table_name FROM information_schema.tables WHERE table_name LIKE '${scratch}' UNION ALL
       SELECT user FROM mysql.user WHERE user LIKE '${scratch}'`
    ),
    topics: neutral(await topicsOf(database)),
    files: filesIn(stateDir),
    bootFile: neutral(bootFile(stateDir))
  }
}

/** Takes out what is only this install's. */
function neutralOf({ answers, database, dir, ports }: InstallWorld): (value: unknown) => unknown {
  const own = [
    ...[database, dir, String(answers.license.license)].map((text) => [text, '{own}'] as const),
    ...Object.entries(ports).map(([service, port]) => [`:${port}`, `:{${service}}`] as const),
    [`"dbPort":${answers.database.dbPort}`, '"dbPort":0'] as const
  ]
  return (value) => {
    const text = own.reduce((all, [from, to]) => all.replaceAll(from, to), JSON.stringify(value))
    return JSON.parse(text.replace(uuid, '{id}'))
  }
}

/**
 * Every file with its mode: drafts and locks that were left behind are among them. The journals of jobs are not: a run that was
 * cut off has one more.
 */
function filesIn(stateDir: string): readonly string[] {
  return readdirSync(stateDir, { recursive: true })
    .map((name) => join(stateDir, String(name)))
    .flatMap((path) => {
      const info = statSync(path, { throwIfNoEntry: false })
      if (info === undefined) return []
      if (/^jobs(\/|$)/.test(relative(stateDir, path))) return []
      const name = relative(stateDir, path).replace(token, '{token}').replace(time, '{time}')
      return [`${(info.mode & 0o777).toString(8)} ${name}${info.isDirectory() ? '/' : ''}`]
    })
    .sort()
}

function bootFile(stateDir: string): unknown {
  const { finishedAt, databaseReady, ledger, answers } = JSON.parse(readFileSync(join(stateDir, 'boot.json'), 'utf8'))
  return { finished: finishedAt !== null, databaseReady, ledger, answers: Object.keys(answers) }
}

async function topicsOf(prefix: string): Promise<readonly string[]> {
  const { kafka } = await sharedSandbox(['kafka'])
  const broker = openBroker({ brokers: [...kafka.brokers], security: 'PLAINTEXT' }, 10_000)
  try {
    return (await broker.metadata()).topics.filter((topic) => topic.startsWith(prefix)).sort()
  } finally {
    await broker.close()
  }
}

/** What differs, one line a difference: empty when the two ended alike. */
export function differences(expected: Digest, found: Digest): readonly string[] {
  return Object.keys({ ...expected, ...found }).flatMap((part) => {
    const [was, is] = [expected[part], found[part]].map((value) => linesOf(value))
    const missing = (was ?? []).filter((line) => !is?.includes(line)).map((line) => `${part}: missing ${line}`)
    const more = (is ?? []).filter((line) => !was?.includes(line)).map((line) => `${part}: unexpected ${line}`)
    const counts = was?.length === is?.length ? [] : [`${part}: ${is?.length} instead of ${was?.length}`]
    return [...missing, ...more, ...counts]
  })
}

function linesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map((item) => JSON.stringify(item))
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).map(([name, item]) => `${name} ${JSON.stringify(item)}`)
  }
  return [JSON.stringify(value)]
}
