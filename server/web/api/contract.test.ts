/**
 * The description replayed against a wizard that runs: every operation is called, over a whole install on the stand-in
 * partition; what is sent fits its schema where it is to be accepted, and every answer fits the one of its status.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { type Answered, scriptedAnswers, send } from '../../../e2e/world/scripted.ts'
import { openWorld, type World } from '../../../e2e/world/world.ts'
import { newPassword } from '../../../sandbox/secrets.ts'
import { type StepId, stepIds } from '../../steps/step.ts'
import { violations } from '../../testing/json-schema.ts'
import { writeSetupCode } from '../access.ts'
import { type Operation, operations } from './operations.ts'
import { createToken } from './tokens.ts'

type Json = Readonly<Record<string, unknown>>

interface Asked {
  readonly body?: unknown
  readonly path?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

interface Called extends Answered {
  readonly json: Record<string, unknown>
}

/** Ids of jobs sort by time. */
async function newestJobs({ stateDir }: World): Promise<readonly string[]> {
  return readdirSync(join(stateDir, 'jobs'))
    .map((name) => name.replace('.ndjson', ''))
    .sort()
    .toReversed()
}

describe('the description holds', { timeout: 170_000 }, () => {
  let world: World
  let answers: Record<StepId, Json>
  let token = ''
  let described: Json
  const called = new Set<string>()

  before(async () => {
    world = await openWorld()
    const { memcached, kafka, ...others } = await scriptedAnswers(world, 'gemalto-safenet')
    // As the description has them; the form's way, with commas, is taken too.
    answers = {
      ...others,
      memcached: { ...memcached, servers: [memcached.servers] },
      kafka: { ...kafka, brokers: String(kafka.brokers).split(',') }
    }
    const served = await send(`${world.wizard.url}/setup/openapi.json`, { method: 'GET' })
    described = JSON.parse(served.text)
  })
  after(() => world.close())

  /** Calls it as it is described. @throws AssertionError where the answer is not the one that is described */
  async function call(operationId: string, { body, path = {}, headers = {} }: Asked = {}): Promise<Called> {
    const operation = operations.find((known) => known.operationId === operationId) ?? assert.fail(operationId)
    const { method } = operation
    const address = operation.path.replace(/\{(\w+)\}/g, (_all, name) => path[name] ?? assert.fail(name))
    const answer = await send(world.wizard.url + address, {
      method,
      headers: {
        accept: 'application/json',
        ...(operation.begins || operation.waits ? { prefer: 'wait=120' } : {}),
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const where = `${operationId} ${answer.status}`
    const { content } = responseOf(operation, answer.status)
    if (content === undefined) {
      assert.ok(Object.hasOwn(operation.also ?? {}, answer.status) && answer.text === '', where)
      return { ...answer, json: {} }
    }
    const [[type, { schema }] = assert.fail(where)] = Object.entries(content)
    assert.equal(String(answer.headers['content-type']).split(';')[0], type, where)
    const read = type.endsWith('json') ? JSON.parse(answer.text) : answer.text
    assert.deepEqual(violations(schema, read, described), [], where)
    if (answer.status < 400) {
      // Who does not wait gets the job.
      assert.ok(answer.status === operation.status || (operation.begins && answer.status === 202), where)
      assert.deepEqual(body === undefined ? [] : violations(operation.body, body, described), [], `body of ${where}`)
      called.add(operationId)
    }
    for (const secret of world.secrets) assert.equal(answer.text.includes(secret), false, `${where} shows a secret`)
    return { ...answer, json: typeof read === 'object' ? read : {} }
  }

  /** Without content: an answer that has no body. */
  function responseOf({ path, method }: Operation, status: number): { content?: Record<string, { schema: Json }> } {
    const { responses } = (described.paths as Record<string, Record<string, { responses: Record<string, Json> }>>)[
      path
    ]?.[method.toLowerCase()] ?? { responses: {} }
    const response =
      responses[status] ?? (status >= 400 ? responses.default : undefined) ?? assert.fail(`${path} ${status}`)
    const { $ref } = response
    const components = described.components as { responses: Record<string, Json> }
    const found = $ref === undefined ? response : components.responses[String($ref).split('/').at(-1) ?? '']
    return found as { content?: Record<string, { schema: Json }> }
  }

  const keyed = (key: string) => ({ 'idempotency-key': key })

  test('what needs no token, and nothing else, is open', async () => {
    for (const { operationId, scope, body } of operations.filter(({ served }) => served !== 'after')) {
      const code = { path: { code: 'conflict', id: 'none' } }
      const { status } = await call(operationId, { ...code, ...(body === undefined ? {} : { body: {} }) })
      if (scope === null) assert.ok([200, 422].includes(status), operationId)
      else assert.equal(status, 401, operationId)
    }
    assert.equal((await call('problemType', { path: { code: 'review' } })).status, 404)
  })

  test('a token that may only read does what is described as read, and nothing else', async () => {
    token = (await createToken(world.stateDir, 'read', 600_000)).token
    const asked = operations.filter(({ scope, served }) => scope !== null && served !== 'after')
    for (const { operationId, scope, body, path } of asked) {
      const { status } = await call(operationId, { path: { id: 'none' }, ...(body === undefined ? {} : { body: {} }) })
      const wanted = path.includes('{id}') ? 404 : 200
      assert.equal(status, scope === 'read' ? wanted : 403, operationId)
    }
  })

  test('the one-time code is spent for a token, with which the first steps are done', async () => {
    token = ''
    const { json } = await call('signIn', { body: { code: world.wizard.code } })
    assert.equal((await call('signIn', { body: { code: world.wizard.code } })).status, 401)
    token = String(json.token)
    assert.equal((await call('kms.submit', { body: answers.kms })).status, 409, 'out of order')
    assert.equal((await call('welcome.submit', { body: {} })).status, 422)
    await checkedAndSubmitted('welcome')
    await checkedAndSubmitted('database')
  })

  test('the password of the partition is changed, and step kms takes the new one', async () => {
    const { slot = '', partition = '', password = '' } = answers.kms
    const fresh = newPassword()
    const change = { slot, partition, password, newPassword: fresh, newPasswordAgain: fresh }
    assert.equal((await call('changePassword', { body: { ...change, newPasswordAgain: 'another' } })).status, 422)
    const changed = await call('changePassword', { body: change })
    assert.equal(changed.status, 200, changed.text)
    answers.kms = { ...answers.kms, password: fresh }
    await checkedAndSubmitted('kms')
  })

  test('the steps that take forms take them as they are described, a list as one text with commas', async () => {
    const { content } = (described.paths as Record<string, Record<string, { requestBody: { content: Json } }>>)[
      '/setup/steps/memcached/check'
    ]?.post?.requestBody ?? { content: {} }
    const { schema, encoding } = content['application/x-www-form-urlencoded'] as Record<string, Json>
    assert.deepEqual(encoding, { servers: { style: 'form', explode: false } })
    const servers = answers.memcached.servers as readonly string[]
    assert.deepEqual(violations(schema, { servers }, described), [])
    const authorization = `Bearer ${token}`
    const form = { accept: 'application/json', authorization, 'content-type': 'application/x-www-form-urlencoded' }
    const ask = (body: string) =>
      send(`${world.wizard.url}/setup/steps/memcached/check`, { headers: { ...form, prefer: 'wait=120' }, body })
    const taken = await ask(new URLSearchParams({ servers: servers.join(',') }).toString())
    assert.equal(taken.status, 200, taken.text)
  })

  test('a job is followed, cancelled, and gone on with', async () => {
    const first = await call('memcached.check', { body: answers.memcached, headers: { prefer: 'respond-async' } })
    assert.equal(first.status, 202, first.text)
    const path = { id: String(first.json.id) }
    assert.equal(first.headers.location, `/setup/jobs/${path.id}`)
    assert.equal((await call('job', { path })).json.state, 'done')
    const { text } = await call('jobEvents', { path })
    assert.match(text, /\nevent: end\ndata: [^\n]+\n\n$/)
    const [, last = ''] = /.*\nid: (\d+)\n/s.exec(text) ?? []
    assert.equal((await call('jobEvents', { path, headers: { 'last-event-id': last } })).status, 204)
    assert.equal((await call('cancelJob', { path })).status, 409, 'it has ended')
    assert.equal((await call('retryJob', { path })).status, 409, 'nothing of it was kept')
    // The KMS is started for this one again: that is a place where it can be stopped.
    const kms = { ...answers.kms, kmsHost: String(answers.kms.kmsHost).replace('localhost', '127.0.0.1') }
    const slow = await call('kms.submit', { body: kms, headers: { prefer: 'respond-async' } })
    assert.equal(slow.status, 202, slow.text)
    const job = { path: { id: String(slow.json.id) } }
    const refused = await call('kms.submit', { body: kms })
    assert.deepEqual([refused.status, refused.json.job], [409, `/setup/jobs/${job.path.id}`])
    await savedBy(job)
    assert.equal((await call('cancelJob', job)).status, 202)
    const stopped = await call('job', job)
    assert.deepEqual([stopped.json.state, stopped.json.retryable], ['cancelled', true], stopped.text)
    const retried = await call('retryJob', job)
    assert.deepEqual(
      [retried.status, retried.json.state, retried.json.resumes],
      [200, 'done', job.path.id],
      retried.text
    )
    assert.ok(((await call('jobs')).json.jobs as unknown[]).length >= 4)
    // Where it was, for the steps that follow.
    assert.equal((await call('kms.submit', { body: answers.kms })).status, 303)
  })

  test('every other step is checked and submitted, and what was shown once is not kept', async () => {
    for (const id of stepIds.slice(3, -1)) await checkedAndSubmitted(id)
    const kept = JSON.stringify(await world.query(`SELECT * FROM \`${world.database}\`.idempotency_keys`))
    assert.match(kept, /shown once, in the first answer/)
  })

  test('plan and export of what stands', async () => {
    const { json } = await call('planOfKept')
    assert.deepEqual(json.steps, ['complete'])
    const again = await call('plan', { body: { steps: answers } })
    assert.deepEqual(again.json, json, 'the same answers are the same plan')
    const { text } = await call('exportAnswers')
    assert.deepEqual(Object.keys(parse(text).steps), [...stepIds.slice(0, -1)])
  })

  test('the last step locks setup; who lost its answer has it again with the same token and key, and nobody else', async () => {
    assert.equal((await call('complete.check', { body: {} })).status, 200)
    const key = randomUUID()
    const last = await call('complete.submit', { body: {}, headers: keyed(key) })
    assert.equal(last.status, 303, last.text)
    const again = await call('complete.submit', { body: {}, headers: keyed(key) })
    assert.deepEqual([again.status, again.headers.location, again.json], [303, last.headers.location, last.json])
    // Who followed the job instead learns how it ended, with the same token and no other.
    const [newest] = await newestJobs(world)
    const path = { id: newest ?? '' }
    assert.deepEqual(await call('job', { path }).then(({ json }) => [json.state, json.finished, json.location]), [
      'done',
      true,
      '/'
    ])
    assert.match((await call('jobEvents', { path })).text, /\nevent: end\ndata: [^\n]*"location":"\/"[^\n]*\n\n$/)
    const refused = [
      call('job', { path, headers: { authorization: 'Bearer another' } }),
      call('jobEvents', { path, headers: { authorization: 'Bearer another' } }),
      call('job', { path: { id: 'none' } }),
      call('cancelJob', { path }),
      call('jobs'),
      call('complete.submit', { body: {}, headers: keyed(randomUUID()) }),
      call('complete.submit', { body: { _continue: 'yes' }, headers: keyed(key) }),
      call('complete.submit', { body: {}, headers: { ...keyed(key), authorization: 'Bearer another' } }),
      call('complete.submit', { body: {} }),
      call('progress')
    ]
    for (const { status, json } of await Promise.all(refused)) {
      assert.deepEqual([status, json.type], [410, '/problems/locked'])
    }
    assert.equal((await call('problemType', { path: { code: 'locked' } })).status, 200, 'still served')
    assert.equal((await call('alive')).status, 200)
  })

  test('after setup a script reads how it stands, takes its papers along, and enters the password of the key store', async () => {
    const held = token
    token = ''
    const { json } = await call('status')
    assert.deepEqual([json.sealed, (json.verdict as Json).ok, 'complete' in json], [false, true, true])
    assert.deepEqual(Object.keys(parse((await call('keptAnswers')).text).steps), [...stepIds])
    assert.equal((await call('record')).status, 200)
    assert.equal((await call('problemTypes')).status, 200)
    const order = { body: { password: String(answers.kms.password) } }
    assert.deepEqual([(await call('passwordState')).status, (await call('newPassword', order)).status], [401, 401])
    assert.equal((await call('passwordSession', { body: { code: 'another' } })).status, 401)
    const spent = await call('passwordSession', { body: { code: await writeSetupCode(world.stateDir) } })
    token = String(spent.json.token)
    assert.equal(((await call('passwordState')).json.keyStore as Json).label, answers.kms.partition)
    assert.equal((await call('newPassword', { body: {} })).status, 422)
    const taken = await call('newPassword', order)
    assert.deepEqual([taken.status, (taken.json.kms as Json).state], [200, 'ready'], taken.text)
    assert.equal((await call('passwordState')).status, 401, 'its token has ended')
    token = held
  })

  test('opened again, a changed answer is planned and applied; the plan of before is refused with what has moved', async () => {
    const cli = join(import.meta.dirname, '../../cli.mjs')
    await promisify(execFile)(process.execPath, [cli, 'unlock', '--state', world.stateDir])
    token = (await createToken(world.stateDir, 'setup', 600_000)).token
    const steps = { account: { ...answers.account, fullName: 'Ada King' } }
    await untilOpen()
    const { json: planned } = await call('plan', { body: { steps } })
    const moved = await call('apply', { body: { plan: (await call('planOfKept')).json.hash, steps } })
    assert.equal(moved.status, 409)
    assert.ok(JSON.stringify(moved.json.moved).includes('other answers: Full Name'))
    const order = { body: { plan: planned.hash, steps }, headers: keyed(randomUUID()) }
    // Sent twice at once: it is done once, and both are told the same.
    const [first, second] = await Promise.all([call('apply', order), call('apply', order)])
    assert.deepEqual([first.json.changed, first.json.finished], [true, true], first.text)
    assert.deepEqual(second.json, first.json)
    assert.deepEqual(first.json.steps, planned.steps)
    const [row] = await world.query(`SELECT full_name FROM \`${world.database}\`.administrators`)
    assert.equal(row?.full_name, 'Ada King')
    assert.deepEqual((await call('apply', order)).json, first.json, 'and once more when setup is locked')
    assert.equal(readFileSync(join(world.stateDir, 'boot.json'), 'utf8').includes('"finishedAt": null'), false)
  })

  test('no operation was left out', () => {
    assert.deepEqual(
      operations.map(({ operationId }) => operationId).filter((operationId) => !called.has(operationId)),
      []
    )
  })

  async function checkedAndSubmitted(id: StepId): Promise<void> {
    const body = answers[id]
    const checked = await call(`${id}.check`, { body })
    assert.equal(checked.status, 200, checked.text)
    const submitted = await call(`${id}.submit`, { body, headers: keyed(`${id}-${world.database}`) })
    assert.equal(submitted.status, 303, submitted.text)
    const next = stepIds[stepIds.indexOf(id) + 1]
    assert.equal(submitted.headers.location, `/setup/steps/${next}`)
  }

  /** The answers are kept, and what they ask for has begun. */
  async function savedBy({ path }: { readonly path: { readonly id: string } }): Promise<void> {
    for (;;) {
      const { json } = await call('job', { path, headers: { prefer: 'wait=0' } })
      assert.equal(json.state, 'running', JSON.stringify(json))
      if ((json.phases as unknown[]).length > 0) return
    }
  }

  /** The wizard sees the request in its state folder by itself. */
  async function untilOpen(): Promise<void> {
    const giveUpAt = Date.now() + 10_000
    while (Date.now() < giveUpAt) {
      const { status } = await send(`${world.wizard.url}/setup/openapi.json`, { method: 'GET' })
      if (status === 200) return
      await new Promise((soon) => setTimeout(soon, 50))
    }
    assert.fail('setup was not opened again')
  }
})
