import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import { warnsOnly } from './late-log.ts'

function appWithLog(handler: (log: FastifyBaseLogger) => void) {
  const lines: Record<string, unknown>[] = []
  let children = 0
  const log = pino(
    { level: 'debug', onChild: () => (children += 1) },
    { write: (line) => lines.push(JSON.parse(line)) }
  )
  const app = Fastify({ loggerInstance: log as FastifyBaseLogger, genReqId: () => 'the-request' })
  app.get('/', { ...warnsOnly }, async (request) => {
    handler(request.log)
    return {}
  })
  return { app, lines, children: () => children }
}

test('a request that has nothing to say makes no logger of its own', async () => {
  const { app, lines, children } = appWithLog((log) => log.info('not said'))
  await app.inject('/')
  const before = children()
  assert.equal((await app.inject('/')).statusCode, 200)
  assert.deepEqual([lines, children()], [[], before])
})

test('warnings and worse are logged with the id of the request', async () => {
  const { app, lines } = appWithLog((log) => {
    log.warn({ part: 1 }, 'odd')
    log.error('bad')
    log.fatal(new Error('worst'))
    log.child({ deeper: true }).warn('below')
    log.child({ deeper: true }).info('not said')
  })
  await app.inject('/')
  assert.deepEqual(
    lines.map(({ level, reqId, msg }) => ({ level, reqId, msg })),
    [
      { level: 40, reqId: 'the-request', msg: 'odd' },
      { level: 50, reqId: 'the-request', msg: 'bad' },
      { level: 60, reqId: 'the-request', msg: 'worst' },
      { level: 40, reqId: 'the-request', msg: 'below' }
    ]
  )
})
