/** The ladder of the database step: from the name of the host to the rights of the account. */
import { defineLadder } from '../../checks/check.ts'
import type { Rung } from '../../checks/ladder-judge.ts'
import { type MysqlSeen, observeMysql } from '../../checks/mysql.ts'
import type { LoginProblem } from '../../checks/mysql-login.ts'
import { tlsCure, tlsSays } from '../../checks/tls.ts'
import { connectionOf, type DatabaseAnswers } from './answers.ts'
import { reachRungs } from './reach-rungs.ts'
import { schemaRungs } from './schema-rungs.ts'

const tls: Rung<MysqlSeen> = {
  id: 'database.tls',
  title: 'Encryption',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ withheld }) => withheld,
      say: ({ host }) => `${host} is another machine: the password is not sent there without TLS.`,
      fix: 'Tick "Use TLS", and paste the CA certificate if the server has one of its own.',
      field: 'dbTls'
    },
    {
      verdict: 'fail',
      when: ({ greeting }) => greeting?.tls != null && greeting.tls.problem !== null,
      say: ({ greeting, host }) => (greeting?.tls == null ? '' : tlsSays(greeting.tls, host)),
      fix: ({ greeting }) => tlsCure(greeting?.tls?.problem ?? null),
      field: ({ greeting }) => (greeting?.tls?.problem === 'untrusted' ? 'dbCa' : 'dbTls')
    },
    {
      verdict: 'pass',
      when: ({ greeting }) => greeting?.tls != null,
      say: ({ greeting, host }) =>
        greeting?.tls == null ? '' : `${greeting.tls.protocol ?? 'TLS'}. ${tlsSays(greeting.tls, host)}`
    },
    { verdict: 'pass', say: 'The database is on this machine; TLS is not needed.' }
  ]
}

const loginSays: Readonly<Record<LoginProblem, (seen: MysqlSeen) => string>> = {
  'access-denied': ({ user }) => `Access denied for user ${user}.`,
  'no-such-database': ({ user, schema }) => `Access denied for user ${user} to ${schema}.`,
  'tls-required': () => 'The server takes this account with TLS only.',
  'unsupported-plugin': ({ user }) =>
    `User ${user} logs in by a method that is not supported (ed25519, GSSAPI, PAM …).`,
  'host-not-allowed': () => 'The server does not take connections from this machine.',
  'too-many-connections': () => 'The server has too many connections.',
  'tls-failed': () => 'The TLS handshake failed.',
  lost: () => 'The connection was lost during the login or right after it.'
}

const loginCures: Readonly<Record<LoginProblem, (seen: MysqlSeen) => string>> = {
  'access-denied': () => 'Check user and password, and that the account may come from this machine.',
  'no-such-database': () => 'Check the name of the database and the rights of the account.',
  'tls-required': () => 'Tick "Use TLS".',
  'unsupported-plugin': ({ user }) =>
    `ALTER USER '${user.replaceAll("'", "''")}' IDENTIFIED VIA mysql_native_password, or use another account.`,
  'host-not-allowed': () => 'Let the account come from this machine; mariadb-admin flush-hosts unblocks a blocked one.',
  'too-many-connections': () => 'Close some, or raise max_connections.',
  'tls-failed': () => "Look at the server's error log.",
  lost: () => "Look at the server's error log, then test again."
}

const login: Rung<MysqlSeen> = {
  id: 'database.login',
  title: 'Login',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ loginProblem }) => loginProblem !== null,
      say: (seen) => loginSays[seen.loginProblem ?? 'lost'](seen),
      fix: (seen) => loginCures[seen.loginProblem ?? 'lost'](seen),
      field: ({ loginProblem }) => (loginProblem === 'tls-required' ? 'dbTls' : 'dbPassword')
    },
    {
      verdict: 'warn',
      when: ({ user }) => user.toLowerCase() === 'root',
      say: 'root may do anything on that server.',
      fix: 'Use an account of its own that may create the database and its users, or go on with root.',
      field: 'dbUser'
    },
    { verdict: 'pass', say: ({ server }) => `Logged in as ${server?.account}.` }
  ]
}

export const databaseLadder = defineLadder<DatabaseAnswers, MysqlSeen>({
  id: 'database.reach',
  title: 'Database',
  deadlineMs: 10_000,
  fix: 'Check that the server runs and is not overloaded, then test again.',
  field: 'dbHost',
  observe: (answers, around, signal) =>
    observeMysql(
      {
        connection: connectionOf(answers),
        schema: answers.dbName,
        install: around.install,
        withoutRights: around.skip?.has('database.rights')
      },
      around.progress,
      signal
    ),
  rungs: [...reachRungs, tls, login, ...schemaRungs]
})
