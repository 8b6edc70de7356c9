/**
 * A real Apache Kafka: one KRaft node from its published jars (sandbox/kafka/pom.xml, resolved by the bootstrap into
 * .cache/kafka), run by the machine's Java. What was learned is in docs/decisions/ (see the page on the sandbox's Kafka).
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { type Child, startChild, whenReady } from './child.ts'
import { fromRoot } from './root.ts'

const run = promisify(execFile)

export interface KafkaAddress {
  /** `mock` is librdkafka's mock cluster: no topic creation, no transactions, nothing kept. */
  readonly kind: 'apache' | 'mock'
  /** host:port each. */
  readonly brokers: readonly string[]
  /** Why it is the mock, in plain words; null for the real one. */
  readonly whyMock: string | null
}

export interface Kafka extends KafkaAddress {
  readonly child: Child
}

const jars = fromRoot('.cache/kafka/libs')
/** Small and quick to start: a sandbox broker moves few records and is often gone after a minute. */
const jvm = ['-Xms64m', '-Xmx256m', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-XX:+UseSerialGC']
const logging = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
const readyLine = 'Kafka Server started'

/** Why Apache Kafka cannot run here, in plain words; null when it can. */
export function whyNoApacheKafka(): string | null {
  const onPath = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'java')))
  if (!onPath) return 'there is no Java runtime (package default-jre-headless)'
  if (!existsSync(join(jars, '.stamp'))) return 'its jars are not here (Maven fetches them into .cache/kafka)'
  return null
}

/**
 * Starts it in the folder, which is created and formatted at the first start. Topics are never created by a client's
 * mere mention, so that what creates them is tested.
 * @throws Error with the log's end when it is not ready within 60 s
 */
export async function startApacheKafka(options: { dir: string; port: number; controllerPort: number }): Promise<Kafka> {
  const { dir, port, controllerPort } = options
  mkdirSync(dir, { recursive: true })
  const data = join(dir, 'data')
  const config = join(dir, 'server.properties')
  const logFile = join(dir, 'kafka.log')
  writeFileSync(config, properties({ data, port, controllerPort }))
  const java = [...jvm, ...logging, '-cp', join(jars, '*')]
  if (!existsSync(join(data, 'meta.properties'))) {
    rmSync(data, { recursive: true, force: true })
    const clusterId = randomBytes(16).toString('base64url')
    await run('java', [...java, 'kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', config])
  }
  const before = existsSync(logFile) ? statSync(logFile).size : 0
  const child = startChild({
    name: 'Apache Kafka',
    command: 'java',
    args: [...java, '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info', 'kafka.Kafka', config],
    logFile
  })
  await whenReady(child, async () => readFileSync(logFile).subarray(before).includes(readyLine), 60_000)
  return { kind: 'apache', brokers: [`127.0.0.1:${port}`], whyMock: null, child }
}

function properties(at: { data: string; port: number; controllerPort: number }): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${at.controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${at.port},CONTROLLER://127.0.0.1:${at.controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${at.port}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=PLAINTEXT',
    `log.dirs=${at.data}`,
    'auto.create.topics.enable=false',
    // One node: every internal topic has one replica, and one partition is quicker to bring up than fifty.
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=1',
    // A group's first member is served at once rather than after waiting 3 s for others.
    'group.initial.rebalance.delay.ms=0',
    // After a SIGKILL the node waits until its own earlier registration has expired: 9 s unless told otherwise.
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=1000',
    'num.network.threads=2',
    'num.io.threads=2',
    'log.cleaner.enable=false',
    ''
  ].join('\n')
}
