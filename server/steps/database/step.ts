/** Step 2: the MySQL that keeps everything from now on. */
import { serviceUserName } from '../../../lib/database/service-user.ts'
import { serviceNames } from '../../../services/catalog.ts'
import { tickedWords } from '../answer-fields.ts'
import { defineStep } from '../define-step.ts'
import { type DatabaseAnswers, databaseAnswers } from './answers.ts'

export const databaseStep = defineStep<'database', DatabaseAnswers>({
  id: 'database',
  title: 'Database Configuration',
  intro: 'Please answer the following questions to configure the database that KeyScaler keeps its data in.',
  answers: databaseAnswers,
  fields: {
    dbHost: { label: 'Database Host', control: 'text', initial: '127.0.0.1', hint: 'Host name or IP address.' },
    dbPort: { label: 'Database Port', control: 'number', initial: '3306' },
    dbName: {
      label: 'Database Name',
      control: 'text',
      initial: 'keyscaler',
      hint: 'Is created if it does not exist; must be empty or ours.'
    },
    dbUser: {
      label: 'Database User',
      control: 'text',
      hint: 'An account that may create the database and its users. The services get accounts of their own.',
      autocomplete: 'off'
    },
    dbPassword: { label: 'Database Password', control: 'password', secret: true, autocomplete: 'current-password' },
    dbTls: {
      label: 'Use TLS',
      control: 'checkbox',
      hint: 'Needed unless the database is on this machine: the password goes to no other host without it.'
    },
    dbCa: {
      label: 'CA Certificate',
      control: 'textarea',
      optional: true,
      hint: 'PEM; empty: the roots that this system trusts.',
      onlyWhen: { field: 'dbTls', is: tickedWords }
    }
  },
  checks: async () => [(await import('./checks.ts')).databaseLadder],
  makesStale: ['kms', 'account', 'license', 'dae', 'mqs', 'cp'],
  // TLS and its CA decide who could read it on the way.
  secretsBoundTo: ['dbHost', 'dbPort', 'dbUser', 'dbTls', 'dbCa'],
  apply: async () => (await import('./apply.ts')).applyDatabase,
  effects: ({ dbName }) => [
    { kind: 'schema', name: dbName, of: ['dbName'] },
    { kind: 'migration', name: dbName, of: ['dbName'] },
    ...serviceNames.map((service) => ({ kind: 'database-user' as const, name: serviceUserName(dbName, service) }))
  ],
  undo: async () => (await import('./undo.ts')).undoDatabase,
  plan: ({ dbName, dbHost, dbPort }) => [
    dbName === undefined || dbHost === undefined
      ? 'Creates the database where it does not exist, and its tables'
      : `Creates database ${dbName} on ${dbHost}:${dbPort ?? 3306} where it does not exist, and its tables`,
    'Creates a database user for each of KMS, DAE, MQS and CP, with the rights that it needs and no more',
    'Moves what was answered so far into the database'
  ]
})
