/** Rungs: is the server one that we can use, is the database free for us, and is the account strong enough? */
import type { Rung } from '../../checks/ladder-judge.ts'
import type { MysqlSeen } from '../../checks/mysql.ts'

/** MySQL 8.0, MariaDB 10.6: the oldest with JSON, utf8mb4 indexes and SKIP LOCKED (the outbox needs it). */
const oldest = { MySQL: [8, 0], MariaDB: [10, 6] } as const
const mostSkewSeconds = 5

function tooOld({ server }: MysqlSeen): boolean {
  const kind = isMariadb(server?.version) ? 'MariaDB' : 'MySQL'
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(server?.version ?? '') ?? []
  const [leastMajor, leastMinor] = oldest[kind]
  return Number(major) < leastMajor || (Number(major) === leastMajor && Number(minor) < leastMinor)
}

function isMariadb(version = ''): boolean {
  return /mariadb/i.test(version)
}

const version: Rung<MysqlSeen> = {
  id: 'database.version',
  title: 'Version',
  outcomes: [
    {
      verdict: 'fail',
      when: tooOld,
      say: ({ server }) => `${server?.version} is too old.`,
      fix: 'Use MySQL 8.0 or newer, or MariaDB 10.6 or newer.',
      field: 'dbHost'
    },
    { verdict: 'pass', say: ({ server }) => `${isMariadb(server?.version) ? 'MariaDB' : 'MySQL'} ${server?.version}.` }
  ]
}

const storage: Rung<MysqlSeen> = {
  id: 'database.storage',
  title: 'Storage',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ server }) => server?.innodb === false,
      say: 'The server does not offer InnoDB.',
      fix: 'Turn InnoDB on (skip-innodb, disabled_storage_engines).'
    },
    {
      verdict: 'fail',
      when: ({ server }) => server?.utf8mb4 === false,
      say: 'The server does not offer the character set utf8mb4.',
      fix: 'Use a server that was built with it.'
    },
    {
      verdict: 'warn',
      when: ({ server }) => server?.flushAtCommit !== 1,
      say: ({ server }) =>
        `innodb_flush_log_at_trx_commit is ${server?.flushAtCommit}: what was acknowledged can be lost when the power fails.`,
      fix: 'Set it to 1.'
    },
    { verdict: 'pass', say: 'InnoDB, utf8mb4, and commits that are on disk before they are acknowledged.' }
  ]
}

const clock: Rung<MysqlSeen> = {
  id: 'database.clock',
  title: 'Clock',
  independent: true,
  outcomes: [
    { verdict: 'skip', when: ({ server }) => server === null, say: 'Not reached.' },
    {
      verdict: 'fail',
      when: ({ server }) => Math.abs(server?.skewSeconds ?? 0) >= mostSkewSeconds,
      say: ({ server }) =>
        `The server's clock differs from this machine's by ${Math.round(server?.skewSeconds ?? 0)} s.`,
      fix: 'Synchronise both with NTP (chrony, systemd-timesyncd).'
    },
    { verdict: 'pass', say: ({ server }) => `Differs by ${Math.abs(server?.skewSeconds ?? 0).toFixed(1)} s.` }
  ]
}

const schema: Rung<MysqlSeen> = {
  id: 'database.schema',
  title: 'Database',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ contents }) => contents?.state === 'foreign',
      say: (seen) => `Database ${seen.schema} holds ${seen.contents?.tables} tables of something else.`,
      fix: 'Choose another name: what is there is left alone.',
      field: 'dbName'
    },
    {
      verdict: 'fail',
      when: ({ contents }) => (contents?.otherInstalls.length ?? 0) > 0,
      say: (seen) => `Database ${seen.schema} holds another installation (${seen.contents?.otherInstalls.join(', ')}).`,
      fix: 'Choose another name, or run the wizard with the state folder of that installation.',
      field: 'dbName'
    },
    {
      verdict: 'pass',
      when: ({ contents }) => contents?.state === 'ours',
      say: (seen) => `Database ${seen.schema} is ours, at ${seen.contents?.newest ?? 'its beginning'}.`
    },
    {
      verdict: 'pass',
      say: ({ contents, schema }) =>
        contents?.state === 'empty' ? `Database ${schema} is empty.` : `Database ${schema} does not exist yet.`
    }
  ]
}

const rights: Rung<MysqlSeen> = {
  id: 'database.rights',
  title: 'Rights',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ rights, contents }) =>
        contents?.state === 'absent' && (rights?.missing.some((one) => one.startsWith('CREATE on')) ?? false),
      say: ({ schema, user }) => `Database ${schema} does not exist and ${user} may not create it.`,
      fix: ({ schema, server }) =>
        `CREATE DATABASE \`${schema}\` CHARACTER SET utf8mb4; GRANT ALL ON \`${schema}\`.* TO ${quoted(server?.account)} WITH GRANT OPTION`,
      field: 'dbName'
    },
    {
      verdict: 'fail',
      when: ({ rights }) => (rights?.missing.length ?? 0) > 0,
      say: ({ rights, user }) => `${user} lacks: ${rights?.missing.join(', ')}.`,
      fix: ({ rights, schema, server }) => {
        const account = quoted(server?.account)
        const users = rights?.missing.includes('CREATE USER') ? `GRANT CREATE USER ON *.* TO ${account}; ` : ''
        return `${users}GRANT ALL ON \`${schema}\`.* TO ${account} WITH GRANT OPTION`
      },
      field: 'dbUser'
    },
    {
      verdict: 'fail',
      when: ({ rights }) => rights === null || rights.other !== null,
      say: ({ rights }) => rights?.other ?? 'The rights could not be tried.',
      fix: "Look at the server's error log."
    },
    {
      verdict: 'pass',
      say: 'Made a table and a user, used them, and removed them again.'
    }
  ]
}

/** 'name'@'host', as GRANT wants it. */
function quoted(account = ''): string {
  const at = account.lastIndexOf('@')
  const part = (text: string) => `'${text.replaceAll("'", "''")}'`
  return `${part(account.slice(0, at))}@${part(account.slice(at + 1))}`
}

export const schemaRungs = [version, storage, schema, rights, clock]
