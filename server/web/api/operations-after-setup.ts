/** What a script may ask once setup is finished: how it stands, what is taken along, and the new password of the key store. */
import type { Operation } from './operations.ts'
import { objectSchema } from './request-bodies.ts'

const standing = 'After setup'
const password = 'A new password of the key store'

export const operationsAfterSetup: readonly Operation[] = [
  {
    operationId: 'status',
    group: standing,
    method: 'GET',
    path: '/',
    summary:
      'Whether every service is ready. Callers on this machine are told serials and fingerprints too (complete); others are not.',
    scope: null,
    served: 'after',
    status: 200,
    answer: 'Status',
    also: { 303: 'While setup is open: it leads to /setup.' },
    refusals: []
  },
  {
    operationId: 'keptAnswers',
    group: standing,
    method: 'GET',
    path: '/answers.yaml',
    summary: 'The answers file that reproduces this install, without secrets; for callers on this machine only.',
    scope: null,
    served: 'after',
    status: 200,
    answer: 'yaml',
    refusals: [403]
  },
  {
    operationId: 'record',
    group: standing,
    method: 'GET',
    path: '/record.json',
    summary: 'The signed install record (RFC 7515, docs/install-record.md); for callers on this machine only.',
    scope: null,
    served: 'after',
    status: 200,
    answer: 'record',
    refusals: [403, 404]
  },
  {
    operationId: 'passwordSession',
    group: password,
    method: 'POST',
    path: '/key-store-password/session',
    summary: 'Spends a code of keyscaler code for a bearer token that opens /key-store-password, and nothing else.',
    scope: null,
    served: 'after',
    body: objectSchema({ code: { type: 'string', maxLength: 200, writeOnly: true } }, ['code']),
    status: 201,
    answer: 'Session',
    refusals: [401, 422]
  },
  {
    operationId: 'passwordState',
    group: password,
    method: 'GET',
    path: '/key-store-password',
    summary: 'Which key store it is, how the KMS stands, and how many rejected logins are known.',
    scope: 'password',
    served: 'after',
    status: 200,
    answer: 'PasswordState',
    refusals: []
  },
  {
    operationId: 'newPassword',
    group: password,
    method: 'POST',
    path: '/key-store-password',
    summary:
      'Takes the present password: proved by one login, never tried again by itself, then the KMS is started with it. The token ends with that.',
    scope: 'password',
    served: 'after',
    body: objectSchema(
      {
        password: { type: 'string', minLength: 1, maxLength: 1000, writeOnly: true },
        sendAgain: { type: 'boolean', description: 'Send one that was rejected before.' },
        confirmLabel: {
          type: 'string',
          maxLength: 200,
          description: 'Label of the partition, where few logins are left.'
        }
      },
      ['password']
    ),
    status: 200,
    answer: 'NewPassword',
    refusals: [409, 422]
  }
]
