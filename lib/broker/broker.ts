/**
 * Kafka behind a thin port, with a hard deadline on every call: kafkajs has had no release for years, and what we need
 * of it is small. Used by the live checks, the Kafka step, MQS, and proofs that read an event back.
 */
import { setTimeout } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { AppError } from '../errors/app-error.ts'
import { clusterAdmin } from './cluster-admin.ts'
import { consumeOne } from './consume-one.ts'
import { brokerError } from './errors.ts'
import { kafkaClient } from './kafka-client.ts'
import { type Produced, recordSender } from './produce.ts'
import { untilKnown } from './until-known.ts'

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

/** What a topic has; of copies, those of its first partition. */
export type TopicShape = Omit<TopicPlan, 'topic'>

export interface BrokerRecord {
  /** Records of one key stay in order while the topic has the number of partitions that it has. */
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
  readonly describeTopic: (topic: string) => Promise<TopicShape | null>
  /** Idempotent; the leaders of what was made know of it, and take records. @returns names of those that were made now. @throws AppError forbidden without the right */
  readonly createTopics: (topics: readonly TopicPlan[]) => Promise<readonly string[]>
  /**
   * Gives a topic more partitions, and comes back when the cluster tells of all of them and their leaders know. From then on
   * a key may go to another partition than before. There is no taking away.
   * @param onlyAsk the cluster is asked whether it would, and makes none
   * @throws AppError forbidden without the right (Alter), invalid-input where it has that many, not-found
   */
  readonly addPartitions: (topic: string, partitions: number, onlyAsk?: boolean) => Promise<void>
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

/** A local broker has heard after some 25 ms. */
const leadersEveryMs = 15

/** librdkafka's mock cluster: it makes topics when they are mentioned, and has no controller to be asked for them. */
export function isMockCluster({ clusterId, controller }: BrokerMetadata): boolean {
  return controller === null && clusterId.startsWith('mockCluster')
}

/**
 * Opens nothing yet: the first call connects, and one after a lost connection connects again.
 * @param deadlineMs for each call; consumeOne has its own (10 s)
 * Errors of all calls: AppError broker-unavailable, deadline-exceeded, forbidden, unauthenticated, conflict, invalid-input.
 */
export function openBroker(settings: BrokerSettings, deadlineMs = 5000): Broker {
  const kafka = kafkaClient(settings)
  const cluster = clusterAdmin(kafka, deadlineMs)
  const sender = recordSender(kafka, deadlineMs)

  const describeTopic: Broker['describeTopic'] = (topic) =>
    cluster.call(`metadata of topic ${topic}`, (admin) => topicShape(admin, topic))

  /** By a client of its own: kafkajs asks about a topic for ever, also when it is deleted, once it was told to look at it. */
  const leadersKnow = async (topic: string) => {
    const asking = clusterAdmin(kafka, deadlineMs)
    try {
      const ask = () => asking.call(`leaders of topic ${topic}`, (admin) => admin.fetchTopicOffsets(topic))
      await untilKnown(ask, leadersEveryMs)
    } finally {
      await asking.close()
    }
  }

  /** The broker that is asked hears of them a moment after the controller that made them. */
  const untilAllAreTold = async (topic: string, partitions: number) => {
    const end = performance.now() + deadlineMs
    while (((await describeTopic(topic))?.partitions ?? 0) < partitions) {
      if (performance.now() > end) {
        throw new AppError('deadline-exceeded', `Topic ${topic} has not got its ${partitions} partitions yet.`)
      }
      await setTimeout(leadersEveryMs)
    }
  }

  const metadata = () => untilKnown(() => cluster.call('metadata', clusterMetadata))

  return {
    metadata,
    describeTopic,
    createTopics: async (plans) => {
      const known = await metadata()
      const absent = plans.filter(({ topic }) => !known.topics.includes(topic))
      for (const { topic, partitions, replication } of absent) {
        if (isMockCluster(known)) {
          await describeTopic(topic)
          continue
        }
        const create = (admin: Admin) =>
          admin.createTopics({
            topics: [{ topic, numPartitions: partitions, replicationFactor: replication }],
            // kafkajs would wait 100 ms, and then believe metadata: they name a leader that does not know of it yet.
            waitForLeaders: false,
            timeout: deadlineMs
          })
        await untilKnown(() => cluster.call(`creating topic ${topic}`, create))
        await leadersKnow(topic)
      }
      return absent.map(({ topic }) => topic)
    },
    addPartitions: async (topic, partitions, onlyAsk = false) => {
      const topicPartitions = [{ topic, count: partitions }]
      await cluster.call(`partitions of topic ${topic}`, (admin) =>
        admin.createPartitions({ topicPartitions, validateOnly: onlyAsk, timeout: deadlineMs })
      )
      if (onlyAsk) return
      await untilAllAreTold(topic, partitions)
      await leadersKnow(topic)
    },
    deleteTopic: (topic) =>
      cluster.call(`deleting topic ${topic}`, (admin) => admin.deleteTopics({ topics: [topic], timeout: deadlineMs })),
    produce: sender.send,
    consumeOne: (topic, wanted, { from, deadlineMs: patience = 10_000 } = {}) =>
      consumeOne(settings, topic, wanted, from, patience),
    close: async () => {
      await Promise.all([cluster.close(), sender.close()])
    }
  }
}

async function clusterMetadata(admin: Admin): Promise<BrokerMetadata> {
  const { brokers, controller, clusterId } = await admin.describeCluster()
  return {
    clusterId,
    controller: brokers.some(({ nodeId }) => nodeId === controller) ? controller : null,
    brokers: brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port })),
    topics: await admin.listTopics()
  }
}

async function topicShape(admin: Admin, topic: string): Promise<TopicShape | null> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    const partitions = topics.find(({ name }) => name === topic)?.partitions ?? []
    return partitions.length === 0
      ? null
      : { partitions: partitions.length, replication: partitions[0]?.replicas.length ?? 0 }
  } catch (thrown) {
    if (brokerError(thrown).code === 'not-found') return null
    throw thrown
  }
}
