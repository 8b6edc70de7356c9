/**
 * Kafka behind a thin port, with a hard deadline on every call: kafkajs has had no release for years, and what we need
 * of it is small. Used by the live checks, the Kafka step, MQS, and proofs that read an event back.
 */
import type { ITopicMetadata } from 'kafkajs'
import { consumeOne } from './consume-one.ts'
import { brokerError } from './errors.ts'
import { kafkaClient } from './kafka-client.ts'
import { type Produced, recordSender } from './produce.ts'
import { within } from './within.ts'

export interface BrokerSettings {
  /** host:port each; a few of the cluster are enough. */
  readonly brokers: readonly string[]
  readonly security: 'PLAINTEXT' | 'SSL' | 'SASL_SSL'
  readonly mechanism?: 'plain' | 'scram-sha-256' | 'scram-sha-512' | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM; absent: the system's roots. */
  readonly ca?: string | undefined
  /** As the brokers' logs name us. */
  readonly clientId?: string | undefined
}

export interface BrokerMetadata {
  readonly clusterId: string
  /** Node id of the controller; null when the cluster names none (librdkafka's mock). */
  readonly controller: number | null
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[]
  readonly topics: readonly string[]
}

export interface TopicPlan {
  readonly topic: string
  readonly partitions: number
  readonly replication: number
}

export interface BrokerRecord {
  /** Records of one key stay in order. */
  readonly key: string
  readonly value: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface ReceivedRecord extends BrokerRecord {
  readonly headers: Readonly<Record<string, string>>
  readonly partition: number
  readonly offset: string
}

export interface Broker {
  readonly metadata: () => Promise<BrokerMetadata>
  /** Asks about one topic; where the cluster makes topics by itself, asking makes it. Null: there is none. */
  readonly describeTopic: (topic: string) => Promise<{ partitions: number; replication: number } | null>
  /** Idempotent. @returns names of those that were made now. @throws AppError forbidden without the right */
  readonly createTopics: (topics: readonly TopicPlan[]) => Promise<readonly string[]>
  readonly deleteTopic: (topic: string) => Promise<void>
  /** One batch, in order, acknowledged by all in-sync replicas. Once it throws, records may or may not have arrived. */
  readonly produce: (topic: string, records: readonly BrokerRecord[]) => Promise<readonly Produced[]>
  /** The first record that `wanted` takes, from the places given or else from the beginning; a group of its own. */
  readonly consumeOne: (
    topic: string,
    wanted: (record: ReceivedRecord) => boolean,
    more?: { readonly from?: readonly Produced[]; readonly deadlineMs?: number }
  ) => Promise<ReceivedRecord>
  readonly close: () => Promise<void>
}

/**
 * Opens nothing yet: the first call connects, and one after an error connects again.
 * @param deadlineMs for each call; consumeOne has its own (10 s)
 * Errors of all calls: AppError broker-unavailable, deadline-exceeded, forbidden, unauthenticated, conflict.
 */
export function openBroker(settings: BrokerSettings, deadlineMs = 5000): Broker {
  const kafka = kafkaClient(settings)
  const admin = kafka.admin({ retry: { retries: 0 } })
  let connected: Promise<void> | null = null
  const sender = recordSender(kafka, deadlineMs)

  async function call<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      connected ??= admin.connect()
      const ready = connected
      return await within(deadlineMs, what, () => ready.then(work))
    } catch (thrown) {
      connected = null
      void admin.disconnect().catch(() => {})
      throw brokerError(thrown)
    }
  }

  async function topicMetadata(topic: string): Promise<ITopicMetadata | undefined> {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics.find((one) => one.name === topic)
  }

  return {
    metadata: () =>
      call('metadata', async () => {
        const { brokers, controller, clusterId } = await admin.describeCluster()
        const topics = await admin.listTopics()
        return {
          clusterId,
          controller,
          brokers: brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })),
          topics
        }
      }),
    describeTopic: (topic) =>
      call(`metadata of topic ${topic}`, async () => {
        try {
          const found = await topicMetadata(topic)
          if (found === undefined || found.partitions.length === 0) return null
          return { partitions: found.partitions.length, replication: found.partitions[0]?.replicas.length ?? 0 }
        } catch (thrown) {
          if (isUnknownTopic(thrown)) return null
          throw thrown
        }
      }),
    createTopics: (topics) =>
      call('creating topics', async () => {
        const there = new Set(await admin.listTopics())
        const wanted = topics.filter(({ topic }) => !there.has(topic))
        for (const { topic, partitions, replication } of wanted) {
          await admin.createTopics({
            topics: [{ topic, numPartitions: partitions, replicationFactor: replication }],
            waitForLeaders: true,
            timeout: deadlineMs
          })
        }
        return wanted.map(({ topic }) => topic)
      }),
    deleteTopic: (topic) =>
      call('deleting a topic', () => admin.deleteTopics({ topics: [topic], timeout: deadlineMs })),
    produce: (topic, records) => sender.send(topic, records),
    consumeOne: (topic, wanted, { from, deadlineMs: patience = 10_000 } = {}) =>
      consumeOne(kafka, admin, topic, wanted, from, patience),
    close: async () => {
      await Promise.all([admin.disconnect().catch(() => {}), sender.close()])
    }
  }
}

function isUnknownTopic(thrown: unknown): boolean {
  return thrown instanceof Error && 'type' in thrown && thrown.type === 'UNKNOWN_TOPIC_OR_PARTITION'
}
