/** Are the account's name and the administrator's e-mail free, or this very account's? */
import type { RowDataPacket } from 'mysql2/promise'
import { defineCheck } from '../../checks/check.ts'
import type { AccountAnswers } from './answers.ts'

interface SeenAccount {
  /** null: there is no database yet. */
  readonly known: boolean | null
  /** The tenant of the administrator with this e-mail; null when there is none. */
  readonly emailOf: string | null
  readonly tenantExists: boolean
}

export const accountFree = defineCheck<AccountAnswers, SeenAccount>({
  id: 'account.free',
  title: 'Account',
  deadlineMs: 5000,
  fix: 'Check that the database runs, then test again.',
  observe: async ({ tenant, email }, { services }) => {
    const { database } = services
    if (database === undefined) return { known: null, emailOf: null, tenantExists: false }
    const [people] = await database.query<RowDataPacket[]>('SELECT tenant FROM administrators WHERE email = ?', [email])
    const [tenants] = await database.query<RowDataPacket[]>('SELECT name FROM tenants WHERE name = ?', [tenant])
    const emailOf = people[0] === undefined ? null : String(people[0].tenant)
    return { known: emailOf === tenant, emailOf, tenantExists: tenants.length > 0 }
  },
  outcomes: [
    { verdict: 'skip', when: ({ known }) => known === null, say: 'Not reached: there is no database yet.' },
    {
      verdict: 'pass',
      when: ({ known }) => known === true,
      say: 'The account is there; its administrator is changed.'
    },
    {
      verdict: 'fail',
      when: ({ emailOf }) => emailOf !== null,
      say: 'An account with this e-mail exists.',
      fix: ({ emailOf }) => `Enter another e-mail, or the account name that it belongs to (${emailOf}).`,
      field: 'email'
    },
    {
      verdict: 'warn',
      when: ({ tenantExists }) => tenantExists,
      say: 'The account is there already; the new administrator takes the place of the first one.',
      fix: 'Enter another name if you meant another account.',
      field: 'tenant'
    },
    { verdict: 'pass', say: 'Name and e-mail are free.' }
  ]
})
