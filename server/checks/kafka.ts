/** A Kafka cluster, from its brokers' first answers to one record sent and read back in a scratch topic. */
import { randomBytes } from 'node:crypto'
import {
  type Broker,
  type BrokerMetadata,
  type BrokerSettings,
  isMockCluster,
  openBroker,
  type TopicPlan
} from '../../lib/broker/broker.ts'
import { AppError, type ErrorCode, messageOf } from '../../lib/errors/app-error.ts'
import { type BrokerGreeting, greetBroker } from './kafka-greeting.ts'

/** What a stage came to: null = it went well. */
export interface StageProblem {
  readonly code: ErrorCode
  readonly message: string
}

export interface KafkaSeen {
  readonly greetings: readonly BrokerGreeting[]
  readonly login: StageProblem | null
  /** null: not reached. */
  readonly cluster: BrokerMetadata | null
  readonly mock: boolean
  /** undefined: not reached. */
  readonly rights: StageProblem | null | undefined
  readonly roundTrip: StageProblem | null | undefined
  readonly replication: number
  /** Of the topics that are asked about, those that are there, as they are; of a mock none. */
  readonly there: readonly TopicPlan[]
  /** Why the cluster would not give one of them the partitions that it lacks; null: it would, or none lacks any. */
  readonly growth: (StageProblem & { readonly topic: string }) | null
}

export interface KafkaQuestion {
  readonly settings: BrokerSettings
  readonly topicPrefix: string
  /** Looked at where they are there already. */
  readonly topics: readonly string[]
  readonly partitions: number
  readonly replication: number
  /** What is left out: logging in, making a scratch topic, sending a record. */
  readonly without?: { readonly login: boolean; readonly topic: boolean; readonly record: boolean } | undefined
}

/** Never throws for what a peer does. */
export async function observeKafka(question: KafkaQuestion, progress: (what: string) => void): Promise<KafkaSeen> {
  const { settings, replication } = question
  progress(settings.brokers.join(', '))
  const tls = settings.security === 'PLAINTEXT' ? undefined : { ca: settings.ca }
  const greetings = await Promise.all(settings.brokers.map((server) => greetBroker(server, tls)))
  const seen: KafkaSeen = {
    ...{ greetings, login: null, cluster: null, mock: false, rights: undefined, roundTrip: undefined, replication },
    ...{ there: [], growth: null }
  }
  const reachable = greetings.filter(isGood).map(({ server }) => server)
  // One that is down is told, and is no reason not to look at the others; kafkajs would try them in random order.
  if (reachable.length === 0 || question.without?.login === true) return seen
  const broker = openBroker({ ...settings, brokers: reachable })
  try {
    progress('metadata of the cluster')
    const cluster = await broker.metadata()
    const known = { ...seen, cluster, mock: isMockCluster(cluster) }
    if (replication > cluster.brokers.length || question.without?.topic === true) return known
    const topics = known.mock ? {} : await lookAtTopics(broker, cluster, question, progress)
    return { ...known, ...topics, ...(await tryTopic(broker, known.mock, question, progress)) }
  } catch (thrown) {
    return { ...seen, login: problemOf(thrown) }
  } finally {
    await broker.close()
  }
}

export function isGood(greeting: BrokerGreeting): boolean {
  return greeting.problem === null && (greeting.tls === null || greeting.tls.problem === null)
}

/** Of those alone that are there: where the cluster makes topics by itself, asking for one makes it. */
async function lookAtTopics(
  broker: Broker,
  cluster: BrokerMetadata,
  { topics, partitions }: KafkaQuestion,
  progress: (what: string) => void
): Promise<Pick<KafkaSeen, 'there' | 'growth'>> {
  const there: TopicPlan[] = []
  for (const topic of topics.filter((name) => cluster.topics.includes(name))) {
    progress(`topic ${topic}`)
    const shape = await broker.describeTopic(topic)
    if (shape !== null) there.push({ topic, ...shape })
  }
  for (const { topic } of there.filter((row) => row.partitions < partitions)) {
    progress(`whether topic ${topic} can have more partitions`)
    const problem = await broker.addPartitions(topic, partitions, true).then(() => null, problemOf)
    if (problem !== null) return { there, growth: { topic, ...problem } }
  }
  return { there, growth: null }
}

/** What the names of scratch topics begin with. */
function scratchTopic(topicPrefix: string): string {
  return `${topicPrefix}.check-`
}

/** The check just before may have removed it: a broker still lists it for a moment, and the controller knows better. */
function unlessGone(thrown: unknown): void {
  if (!(thrown instanceof AppError && thrown.code === 'not-found')) throw thrown
}

/** Removes the scratch topics of checks that were killed. Only while no other check of this install is running. */
export async function sweepScratchTopics(broker: Broker, topicPrefix: string): Promise<void> {
  const { topics } = await broker.metadata()
  for (const topic of topics) {
    const scratch = topic.startsWith(scratchTopic(topicPrefix))
    if (scratch && /^[0-9a-f]{10}$/.test(topic.slice(-10))) await broker.deleteTopic(topic).catch(unlessGone)
  }
}

/** The mock cluster cannot delete topics: there one name is used again and again. */
async function tryTopic(
  broker: Broker,
  mock: boolean,
  { topicPrefix, replication, without }: KafkaQuestion,
  progress: (what: string) => void
): Promise<Pick<KafkaSeen, 'rights' | 'roundTrip'>> {
  const topic = mock ? `${topicPrefix}.check` : `${scratchTopic(topicPrefix)}${randomBytes(5).toString('hex')}`
  try {
    progress(`creating topic ${topic}`)
    await broker.createTopics([{ topic, partitions: 1, replication }])
  } catch (thrown) {
    return { rights: problemOf(thrown), roundTrip: undefined }
  }
  let roundTrip: StageProblem | null = null
  if (without?.record !== true) {
    progress('one record sent and read back')
    roundTrip = await tryRecord(broker, topic).then(() => null, problemOf)
  }
  if (mock) return { rights: null, roundTrip }
  try {
    await broker.deleteTopic(topic)
    return { rights: null, roundTrip }
  } catch (thrown) {
    return { rights: problemOf(thrown), roundTrip }
  }
}

async function tryRecord(broker: Broker, topic: string): Promise<void> {
  const nonce = randomBytes(16).toString('hex')
  const from = await broker.produce(topic, [{ key: 'check', value: nonce }])
  // Joining a group takes a stock broker 3 s (group.initial.rebalance.delay.ms).
  await broker.consumeOne(topic, ({ value }) => value === nonce, { from, deadlineMs: 6000 })
}

function problemOf(thrown: unknown): StageProblem {
  return thrown instanceof AppError
    ? { code: thrown.code, message: thrown.message }
    : { code: 'broker-unavailable', message: messageOf(thrown) }
}
