import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import Fastify from 'fastify'
import { pino } from 'pino'
import { CallQueue } from '../../lib/keystore/call-queue.ts'
import { answerProblem } from '../../lib/service/problems.ts'
import { linkKeyStore } from './key-store-link.ts'
import { newToken } from './testing.ts'

test('when too many calls wait for the key store, the next is answered at once: 503, Retry-After, and what to do', async () => {
  const token = await newToken('gemalto-safenet')
  const queue = new CallQueue({ send: () => {}, silenceMs: 60_000, onSilence: () => {} })
  const link = await linkKeyStore({
    open: async () => ({
      ...(await token.open()),
      random: async () => (await queue.ask({ call: 0, op: 'ping', ask: {} })) as Uint8Array
    }),
    prove: async () => {},
    log: pino({ level: 'silent' }),
    opened: () => {},
    pinRejected: () => {}
  })
  after(link.close)
  const app = Fastify()
  app.setErrorHandler(answerProblem)
  app.get('/', () => link.use((store) => store.random(32)))
  // Nobody answers these; they fill the queue.
  let full = false
  for (let asked = 0; asked < 5000 && !full; asked++) {
    queue.ask({ call: asked, op: 'ping', ask: {} }).catch(() => {
      full = true
    })
    if (asked % 100 === 0) await new Promise(setImmediate)
  }
  assert.ok(full)
  const started = performance.now()
  const answer = await app.inject('/')
  assert.ok(performance.now() - started < 1000)
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.headers['retry-after'], '2')
  assert.equal(answer.json().type, '/problems/service-unavailable')
  assert.match(answer.json().detail, /Too many calls wait/)
  assert.equal(link.state().open, true)
})
