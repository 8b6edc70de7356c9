/**
 * The guide's "MySQL Installation and Database Creation": an empty database and an account for step 2, each password made
 * here and kept in a 0600 file. SQL goes to the client's stdin, so that no password is in argv; none is ever printed.
 */
import { readPrivateFile } from '../../../lib/config/private-file.ts'
import { newServicePassword } from '../../../lib/database/service-password.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Ran } from './commands.ts'
import { keptIn, madeHere, schema, user } from './kept-database.ts'
import type { Look, Prerequisite, PrerequisiteGround } from './prerequisite.ts'

/** An account for the socket and for TCP, whether or not the server asks for names of addresses. */
const hosts = ['localhost', '127.0.0.1'] as const

interface SeenDatabase {
  readonly schema: boolean
  /** Hosts of the account that are there. */
  readonly accounts: readonly string[]
  /** root may log in with an empty password, by more than the socket's proof of who asks. */
  readonly openRoot: boolean
}

export const database: Prerequisite = {
  id: 'database',
  title: 'Database and account',
  look: async (ground) => {
    const unknown = (say: string): Look => ({ state: 'unknown', say, commands: statements('(a password)') })
    const kept = keptIn(ground.stateDir)
    if (!ground.isRoot) return unknown('Only root sees what is in the database of this machine.')
    const client = await clientOf(ground)
    const seen = client === null ? null : await observe(ground, client)
    const password = await readPrivateFile(kept.user)
    if (typeof seen === 'string') return unknown(`root cannot look into the database: ${seen}`)
    const missing = hosts.filter((host) => seen?.accounts.includes(host) !== true)
    if (seen?.schema === true && missing.length === 0 && !seen.openRoot) {
      const where = password === null ? 'its password is not kept here' : `its password is in ${kept.user}`
      return { state: 'there', say: `Database ${schema} and the account ${user}: ${where}.`, commands: [] }
    }
    if (seen !== null && seen.accounts.length > 0 && missing.length > 0 && password === null) {
      return unknown(
        `The account ${user} is there for ${seen.accounts.join(', ')} only, and its password is not kept here.`
      )
    }
    return {
      state: 'missing',
      say: seen === null ? 'There is no database server yet.' : sayMissing(seen, missing),
      commands: [
        ...statements(`(kept in ${kept.user})`),
        ...(seen?.openRoot === false ? [] : rootStatement(kept.root))
      ],
      bring: () => bring(ground)
    }
  }
}

function sayMissing(seen: SeenDatabase, missing: readonly string[]): string {
  return [
    seen.schema ? '' : `There is no database ${schema}.`,
    missing.length === 0 ? '' : `There is no account ${missing.map((host) => `${user}@${host}`).join(', ')}.`,
    seen.openRoot ? "The server's root has no password." : ''
  ]
    .filter((words) => words !== '')
    .join(' ')
}

/** As step 2 needs it: it makes a user for each service. */
function statements(password: string): string[] {
  return [
    `CREATE DATABASE IF NOT EXISTS \`${schema}\` CHARACTER SET utf8mb4;`,
    ...hosts.flatMap((host) => [
      `CREATE USER IF NOT EXISTS '${user}'@'${host}' IDENTIFIED BY '${password}';`,
      `GRANT CREATE USER ON *.* TO '${user}'@'${host}';`,
      `GRANT ALL ON \`${schema}\`.* TO '${user}'@'${host}' WITH GRANT OPTION;`
    ])
  ]
}

const rootStatement = (where: string) => [
  `ALTER USER 'root'@'localhost' IDENTIFIED BY '(kept in ${where})';  -- only where root has no password`
]

/** Kept first, then made: killed in between, the next run uses the password that is kept. */
async function bring(ground: PrerequisiteGround): Promise<void> {
  const kept = keptIn(ground.stateDir)
  const client = await clientOf(ground)
  const seen = client === null ? null : await observe(ground, client)
  if (client === null || seen === null) throw refused('no database server answers on this machine.')
  if (typeof seen === 'string') throw refused(`root cannot look into the database: ${seen}`)
  const before = await readPrivateFile(kept.user)
  const password = before?.trimEnd() ?? newServicePassword()
  if (before === null) await ground.keep(kept.user, `${password}\n`)
  await note(ground, seen)
  const made = await asRoot(ground, client, statements(password).join('\n'))
  if (made.code !== 0) throw refused(made.words.replaceAll(password, '(removed)'))
  if (!seen.openRoot) return
  const rootPassword = passwordIn(await readPrivateFile(kept.root)) ?? newServicePassword()
  await ground.keep(kept.root, `[client]\npassword="${rootPassword}"\n`)
  const closed = await asRoot(ground, client, `ALTER USER 'root'@'localhost' IDENTIFIED BY '${rootPassword}';`)
  if (closed.code !== 0) throw refused(closed.words.replaceAll(rootPassword, '(removed)'))
}

/** Before it is made, so that a kill leaves nothing without a note; what an earlier run has made stays ours. */
async function note(ground: PrerequisiteGround, seen: SeenDatabase): Promise<void> {
  const earlier = await madeHere(ground.stateDir)
  const missing = hosts.filter((host) => !seen.accounts.includes(host))
  const made = {
    schema: earlier?.schema === true || !seen.schema,
    hosts: [...new Set([...(earlier?.hosts ?? []), ...missing])]
  }
  await ground.keep(keptIn(ground.stateDir).made, JSON.stringify(made))
}

const passwordIn = (cnf: string | null): string | null => /^password="(.+)"$/m.exec(cnf ?? '')?.[1] ?? null

const refused = (words: string) =>
  new AppError('deploy-failed', `The database was not made: ${words}`, {
    cure: 'Run the statements that keyscaler prerequisites shows, as an administrator of the database.'
  })

async function clientOf({ commands }: PrerequisiteGround): Promise<string | null> {
  for (const name of ['mariadb', 'mysql']) if ((await commands.find(name)) !== null) return name
  return null
}

/** null: no server answers. A string: why root may not look. */
async function observe(ground: PrerequisiteGround, client: string): Promise<SeenDatabase | string | null> {
  const asked = await asRoot(
    ground,
    client,
    `SELECT 'schema', SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '${schema}';
SELECT 'account', Host FROM mysql.user WHERE User = '${user}';
SELECT 'root', plugin FROM mysql.user WHERE User = 'root' AND Host = 'localhost' AND authentication_string = '';`
  )
  // 2002: nobody listens at the socket.
  if (asked.code !== 0) return /\b2002\b/.test(asked.words) ? null : asked.words.split('\n').slice(-2).join(' ')
  const rows = asked.stdout.split('\n').map((line) => line.split('\t'))
  const valuesOf = (kind: string) => rows.filter(([first]) => first === kind).map(([, value = '']) => value)
  return {
    schema: valuesOf('schema').length > 0,
    accounts: valuesOf('account'),
    // auth_socket, unix_socket: the kernel says who asks, and there is no password. MariaDB's view leaves the native one empty.
    openRoot: valuesOf('root').some((plugin) => plugin === '' || /password/.test(plugin))
  }
}

/** With the password that was made for root here, where there is one and it is in force already. */
async function asRoot({ commands, stateDir }: PrerequisiteGround, client: string, sql: string): Promise<Ran> {
  const { root } = keptIn(stateDir)
  const rest = ['--user=root', '--protocol=socket', '--batch', '--skip-column-names']
  if ((await readPrivateFile(root)) !== null) {
    const ran = await commands.run([client, `--defaults-extra-file=${root}`, ...rest], sql)
    if (!/\b1045\b|\b1698\b/.test(ran.words)) return ran
  }
  return commands.run([client, ...rest], sql)
}
