import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { answerProblem } from './problems.ts'

test('what cannot be read at all is told by what is wrong with it, and with a cure', async (t) => {
  const app = Fastify({ bodyLimit: 100, frameworkErrors: answerProblem })
  t.after(() => app.close())
  app.setErrorHandler(answerProblem)
  app.post('/:id', async () => ({}))
  const sent = async (payload: string, url = '/it') => {
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({ method: 'POST', url, headers, payload })
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/)
    const { status, detail, cure } = answer.json()
    assert.equal(status, answer.statusCode)
    return [status, detail, cure]
  }
  for (const [answered, ...wanted] of [
    [await sent('{wrong'), 400, 'The body is not JSON.', /quotes and commas.*--data-binary @/],
    [await sent(''), 400, 'The body is empty.', /\{\}/],
    [await sent(`"${'x'.repeat(200)}"`), 413, 'The request body is too large.', /is it the right file/],
    [await sent('{}', '/%zz'), 400, 'The address cannot be read.', /%25/]
  ] as const) {
    assert.deepEqual(answered.slice(0, 2), wanted.slice(0, 2))
    assert.match(answered[2], wanted[2])
  }
})
