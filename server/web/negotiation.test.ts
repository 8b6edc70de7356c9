import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { answerFormOf, postedStep, prefersPage } from './negotiation.ts'

const chosen = 'slot=3&partition=HSMoDnFIPS&serial=1285296213941'
const answers = { slot: '3', partition: 'HSMoDnFIPS', serial: '1285296213941' }

test('the serial of a chosen partition stays as long as slot and name are its own, and goes with them', () => {
  const posted = (typed: object) => postedStep({ ...answers, ...typed, _chosen: chosen }).answers
  assert.deepEqual(posted({}), answers)
  assert.deepEqual(posted({ slot: '0' }), { ...answers, slot: '0', serial: '' })
  assert.deepEqual(posted({ partition: 'spare' }), { ...answers, partition: 'spare', serial: '' })
  assert.deepEqual(posted({ slot: '5', serial: '42' }), { ...answers, slot: '5', serial: '42' }, 'another was typed')
  assert.deepEqual(
    postedStep({ ...answers, slot: '0' }).answers,
    { ...answers, slot: '0' },
    'a script says what it means'
  )
})

test('what belongs to the page and not to the answers is taken out, text to be read only when it is to be read', () => {
  const page = {
    _csrf: 'c',
    _revision: '7',
    _paste: 'text',
    _newPassword: 'p',
    _newPasswordAgain: 'p',
    _partition: 'slot=5'
  }
  const { answers: left, revision, pasted, fill } = postedStep({ ...page, slot: '3' })
  assert.deepEqual([left, revision, pasted, fill], [{ slot: '3' }, 7, null, null])
  assert.equal(postedStep({ ...page, _use: 'paste' }).pasted, 'text')
  assert.deepEqual(postedStep({ ...page, _use: 'partition' }).fill, { slot: '5' })
  const client = postedStep({ _use: 'client', _client: 'library=%2Fa&confPath=' })
  assert.deepEqual([client.fill, client.rescan], [{ library: '/a', confPath: '' }, true])
})

test('a body that is no object is refused, not taken for one that is empty', () => {
  for (const body of [null, undefined, 'slot=3', 7, [], [['slot', '3']]]) {
    assert.throws(() => postedStep(body), /The body must be a JSON object/)
  }
  assert.deepEqual(postedStep({}).answers, {})
})

test('Accept decides between page and JSON by its weights; without a word of either the body does, or a token', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  app.post('/', async (request) => [answerFormOf(request), prefersPage(request)])
  app.get('/', async (request) => answerFormOf(request))
  const asked = async (accept?: string, type = 'application/json') =>
    (
      await app.inject({
        method: 'POST',
        url: '/',
        headers: { 'content-type': type, ...(accept === undefined ? {} : { accept }) },
        payload: type === 'application/json' ? '{}' : ''
      })
    ).json()
  app.addContentTypeParser('application/x-www-form-urlencoded', async () => ({}))
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  assert.deepEqual(await asked(browser), ['html', true])
  assert.deepEqual(await asked('application/json'), ['json', false])
  assert.deepEqual(await asked('application/problem+json, application/json;q=0.9'), ['json', false])
  assert.deepEqual(await asked('text/html;q=0.1, application/json'), ['json', false])
  assert.deepEqual(await asked('application/json;q=0, text/html;q=0.2'), ['html', true])
  assert.deepEqual(await asked('text/html, application/json'), ['html', true])
  assert.deepEqual(await asked('text/event-stream', 'application/x-www-form-urlencoded'), ['html', false])
  assert.deepEqual(await asked('*/*'), ['json', false])
  assert.deepEqual(await asked(undefined), ['json', false])
  assert.deepEqual(await asked('*/*', 'application/x-www-form-urlencoded'), ['html', false])
  assert.deepEqual(await asked('text/plain;q=x', 'application/x-www-form-urlencoded'), ['html', false])
  const looked = async (headers: Readonly<Record<string, string>>) =>
    (await app.inject({ method: 'GET', url: '/', headers: { accept: '*/*', ...headers } })).body
  // Plain curl with a token is a script, also where it sends nothing.
  assert.deepEqual([await looked({ authorization: 'Bearer t' }), await looked({})], ['json', 'html'])
})

test('a script may leave checks out beside its answers; a form cannot, for it has no lists', () => {
  const skip = [{ check: 'kafka.record', reason: 'no record may be sent there' }]
  assert.deepEqual(postedStep({ ...answers, _skip: skip }).skip, skip)
  assert.deepEqual(postedStep({ ...answers, _skip: skip }).answers, answers)
  assert.deepEqual(postedStep(answers).skip, [])
  assert.throws(() => postedStep({ _skip: 'kafka.record' }), /Skipped checks are a list/)
})
