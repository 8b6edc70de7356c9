/** Step 4: the cache. Nothing is ever only in it, so Next saves and deploys nothing. */
import { z } from 'zod'
import { optionalText, servers } from '../answer-fields.ts'
import { defineStep } from '../define-step.ts'

const answers = z.strictObject({
  servers: servers('Memcached Servers', 11211),
  prefix: optionalText('Key Prefix', 32).refine((prefix) => prefix === undefined || /^[\x21-\x7e]*$/.test(prefix), {
    error: 'Key Prefix must have no spaces.'
  })
})

export type MemcachedAnswers = z.infer<typeof answers>

export const memcachedStep = defineStep<'memcached', MemcachedAnswers>({
  id: 'memcached',
  title: 'Memcached Configuration',
  intro: 'Please answer the following questions to configure the cache that the services share.',
  answers,
  fields: {
    servers: {
      label: 'Memcached Servers',
      control: 'textarea',
      initial: '127.0.0.1:11211',
      hint: 'host:port, one a line; up to 16.'
    },
    prefix: {
      label: 'Key Prefix',
      control: 'text',
      initial: 'keyscaler:',
      optional: true,
      hint: 'Stands before every key, so that others may use the same servers.'
    }
  },
  checks: async () => [(await import('./checks.ts')).serversAnswer],
  makesStale: ['dae'],
  plan: () => ['Saves the servers; the Device Authority Engine will use them']
})
