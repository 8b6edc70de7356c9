/** What the database step asks, and how its answers become a connection. */
import { z } from 'zod'
import type { DatabaseConnection } from '../../../lib/database/pool.ts'
import { checkbox, isHost, optionalCertificates, text, wholeNumber } from '../answer-fields.ts'
import { isDefaultPassword } from './default-passwords.ts'

const ofTheServer: ReadonlySet<string> = new Set(['mysql', 'information_schema', 'performance_schema', 'sys'])

const fields = z.strictObject({
  dbHost: text('Database Host').refine(isHost, 'Database Host must be a host name or an IP address.'),
  dbPort: wholeNumber('Database Port', 1, 65535, 3306, 'Port must be 1–65535.'),
  dbName: text('Database Name')
    .regex(/^[A-Za-z0-9_]{1,64}$/, 'Database Name must be 1–64 letters, digits or underscores.')
    .refine(
      (name) => !ofTheServer.has(name.toLowerCase()),
      'That database belongs to the server; choose another name.'
    ),
  dbUser: text('Database User').max(32, 'Database User must have at most 32 characters.'),
  dbPassword: text('Database Password')
    .max(256, 'Database Password must have at most 256 characters.')
    .min(8, 'Database Password must have at least 8 characters.'),
  dbTls: checkbox('Use TLS'),
  dbCa: optionalCertificates('CA Certificate')
})

export const databaseAnswers = fields.refine(
  ({ dbPassword, dbUser, dbName }) => !isDefaultPassword(dbPassword, [dbUser, dbName]),
  {
    path: ['dbPassword'],
    error: 'That is a default password. Give the database account another one first.'
  }
)

export type DatabaseAnswers = z.infer<typeof databaseAnswers>

/** The administrator's connection, as typed; with `database` once the schema exists. */
export function connectionOf(answers: DatabaseAnswers): DatabaseConnection {
  return {
    host: answers.dbHost,
    port: answers.dbPort,
    user: answers.dbUser,
    password: answers.dbPassword,
    // Without a CA of its own the server must chain to the system's roots.
    ...(answers.dbTls ? { tlsCa: answers.dbCa ?? 'system' } : {})
  }
}

const keptValues = fields.omit({ dbPassword: true })

/**
 * From stored values (no secrets) and the kept password: how the wizard connects after this step, schema selected.
 * @throws ZodError when the values are not this step's
 */
export function databaseConnectionFrom(
  values: Readonly<Record<string, unknown>>,
  password: string
): DatabaseConnection {
  const kept = keptValues.parse(values)
  return { ...connectionOf({ ...kept, dbPassword: password }), database: kept.dbName }
}
