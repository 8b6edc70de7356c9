import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type Broker, type BrokerSettings, openBroker } from '../../lib/broker/broker.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { atEnd } from '../testing/test-file.ts'
import { openOutbox } from './outbox.ts'
import { type RelayParts, startRelay } from './relay.ts'
import { idsOf, newOutbox, recordsOf, relayed, write } from './testing/outbox-database.ts'

const { kafka } = await sharedSandbox(['kafka'])
const settings: BrokerSettings = { brokers: kafka.brokers, security: 'PLAINTEXT' }
const { pool, asMqs } = await newOutbox()
const admin = openBroker(settings)
atEnd(admin.close)
const outbox = openOutbox(asMqs)

async function newTopic(): Promise<string> {
  const topic = freshName('relay')
  await admin.createTopics([{ topic, partitions: 3, replication: 1 }])
  return topic
}

function start(more: Partial<RelayParts> = {}) {
  const broker = more.broker ?? openBroker(settings)
  const log = pino({ level: 'silent' })
  const relay = startRelay({ database: asMqs, broker, outbox, log, metrics: new Registry(), ...more })
  const stop = async () => {
    await relay.stop()
    await broker.close()
  }
  // A test that fails leaves its relay behind.
  atEnd(stop)
  return { ...relay, stop }
}

const keys = Array.from({ length: 7 }, (_, index) => `device-${index}`)
const events = (topic: string, many: number) =>
  Array.from({ length: many }, (_, index) => ({ topic, key: keys[index % keys.length] ?? '', payload: { index } }))
/** Per key, the records stand in the order in which their events were written. */
function inOrder(records: Awaited<ReturnType<typeof recordsOf>>): void {
  for (const key of keys) {
    const indexes = records.filter((record) => record.key === key).map(({ value }) => Number(JSON.parse(value).index))
    assert.deepEqual(
      indexes,
      indexes.toSorted((one, other) => one - other),
      key
    )
  }
}

describe('the relay', { concurrency: 1 }, () => {
  test('events become records: key, stable event id, type and payload, in order within a key', async () => {
    const topic = await newTopic()
    const relay = start()
    const ids = await write(pool, events(topic, 450))
    await relayed(pool, ids)
    await relay.stop()
    const records = await recordsOf(settings, topic, ids.length)
    assert.deepEqual(idsOf(records).toSorted(), ids.toSorted())
    inOrder(records)
    const [record] = records.filter(({ headers }) => headers['event-id'] === ids[3])
    assert.equal(record?.key, 'device-3')
    assert.equal(record?.headers.type, 'device.enrolled')
    const { at, ...value } = JSON.parse(record?.value ?? '{}')
    assert.deepEqual(value, { eventId: ids[3], type: 'device.enrolled', index: 3 })
    assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.match(String((await outbox.fateOf(ids[3] ?? ''))?.publishedAt), /^\d{4}-.*Z$/)
    assert.deepEqual(await outbox.lag(), { waiting: 0, oldestSeconds: 0, parked: 0 })
  })

  test('two relays at once: every event once, in order, whoever sends', async () => {
    const topic = await newTopic()
    const relays = [start(), start(), start()]
    const ids: string[] = []
    const written = events(topic, 700)
    for (let from = 0; from < written.length; from += 35) {
      ids.push(...(await write(pool, written.slice(from, from + 35))))
    }
    await relayed(pool, ids)
    await Promise.all(relays.map((relay) => relay.stop()))
    const records = await recordsOf(settings, topic, ids.length)
    assert.deepEqual(idsOf(records).toSorted(), ids.toSorted())
    inOrder(records)
  })

  test('an event with a lower id that is committed later is published too', async () => {
    const topic = await newTopic()
    const relay = start()
    const slow = await pool.getConnection()
    await slow.beginTransaction()
    const [lower] = await write(slow, [{ topic, key: 'slow' }])
    const [higher] = await write(pool, [{ topic, key: 'quick' }])
    await relayed(pool, [String(higher)])
    assert.equal(await outbox.fateOf(String(lower)), null)
    await slow.commit()
    slow.release()
    await relayed(pool, [String(lower)])
    await relay.stop()
    assert.deepEqual(idsOf(await recordsOf(settings, topic, 2)).toSorted(), [String(lower), String(higher)].toSorted())
  })

  test('sent but not marked: sent again with the same id, and nothing after it overtakes', async () => {
    const topic = await newTopic()
    const broker = openBroker(settings)
    let failing = true
    // The records have arrived; the answer is lost.
    const losing: Broker = {
      ...broker,
      produce: async (to, records) => {
        const places = await broker.produce(to, records)
        if (!failing) return places
        failing = false
        throw new AppError('broker-unavailable', 'connection lost')
      }
    }
    const ids = await write(pool, events(topic, 20))
    const relay = start({ broker: losing })
    await relayed(pool, ids)
    await relay.stop()
    const records = await recordsOf(settings, topic, 40)
    for (const key of keys) {
      const sent = idsOf(records, key)
      const written = ids.filter((_, index) => keys[index % keys.length] === key)
      assert.deepEqual(sent, [...written, ...written], key)
    }
  })

  test('a broker that is away: events wait, state says why; when it is back they are sent by the same relay', async () => {
    const topic = await newTopic()
    const broker = openBroker(settings)
    let away = true
    const flaky: Broker = {
      ...broker,
      produce: (to, records) =>
        away ? Promise.reject(new AppError('broker-unavailable', 'connect ECONNREFUSED')) : broker.produce(to, records)
    }
    const metrics = new Registry()
    const relay = start({ broker: flaky, metrics })
    const ids = await write(pool, events(topic, 300))
    while (relay.state().problem === null) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(relay.state().problem, `${topic}: connect ECONNREFUSED`)
    assert.equal((await outbox.lag()).waiting, 300)
    away = false
    await relayed(pool, ids, 4000)
    await relay.stop()
    assert.equal(relay.state().problem, null)
    assert.match(await metrics.metrics(), /mqs_relayed_total 300/)
    inOrder(await recordsOf(settings, topic, 300))
  })

  test('a relay that is frozen in the middle of a batch loses the lease, and another goes on', async () => {
    const topic = await newTopic()
    let thaw = () => {}
    let frozen = () => {}
    const reached = new Promise<void>((resolve) => {
      frozen = resolve
    })
    const broker = openBroker(settings)
    const stuck: Broker = {
      ...broker,
      produce: () =>
        new Promise((_, reject) => {
          thaw = () => reject(new AppError('deadline-exceeded', 'woken up'))
          frozen()
        })
    }
    const sleeper = start({ broker: stuck, leaseSeconds: 1 })
    const ids = await write(pool, events(topic, 5))
    await reached
    const waker = start()
    await relayed(pool, ids, 5000).finally(thaw)
    await Promise.all([sleeper.stop(), waker.stop()])
    assert.deepEqual(idsOf(await recordsOf(settings, topic, 5)).toSorted(), ids.toSorted())
  })

  test('an event that is too large is parked with the reason; those around it flow in order', {
    skip: whyMock()
  }, async () => {
    const topic = await newTopic()
    const written = events(topic, 60).map((event, index) =>
      index === 17 ? { ...event, payload: { index, padding: 'x'.repeat(1_200_000) } } : event
    )
    const ids = await write(pool, written)
    const relay = start()
    await relayed(pool, ids)
    await relay.stop()
    const poison = String(ids[17])
    const fate = await outbox.fateOf(poison)
    assert.equal(fate?.publishedAt, null)
    assert.match(String(fate?.parkedBecause), /too large|larger/i)
    assert.equal((await outbox.lag()).parked, 1)
    const records = await recordsOf(settings, topic, 59)
    assert.deepEqual(idsOf(records).toSorted(), ids.filter((id) => id !== poison).toSorted())
    inOrder(records)
  })

  test('a topic that is not there holds up nobody else; made later, it gets its events', {
    skip: whyMock()
  }, async () => {
    const [topic, absent] = [await newTopic(), freshName('absent')]
    const waiting = await write(pool, events(absent, 250))
    const relay = start()
    const ids = await write(pool, events(topic, 10))
    await relayed(pool, ids)
    assert.match(String(relay.state().problem), new RegExp(`^${absent}: `))
    await admin.createTopics([{ topic: absent, partitions: 1, replication: 1 }])
    await relayed(pool, waiting)
    await relay.stop()
    assert.equal(relay.state().problem, null)
    inOrder(await recordsOf(settings, absent, 250))
  })
})

/** librdkafka's mock makes topics when they are mentioned, and takes records of any size. */
function whyMock(): string | false {
  return kafka.whyMock === null ? false : `needs Apache Kafka: ${kafka.whyMock}`
}
