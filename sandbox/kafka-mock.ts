/**
 * librdkafka's mock cluster inside kcat: a broker for machines without Java or Kafka's jars. Its ports are chosen at
 * each start and cannot be fixed, topics appear when first mentioned, and everything is lost when it stops.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { startChild, whenReady } from './child.ts'
import type { Kafka } from './kafka.ts'

/** @throws Error with the log's end when it does not come up within 10 s */
export async function startMockKafka(options: { dir: string; whyMock: string }): Promise<Kafka> {
  const logFile = join(options.dir, 'kafka-mock.log')
  const before = existsSync(logFile) ? statSync(logFile).size : 0
  const child = startChild({
    name: 'mock Kafka',
    command: 'kcat',
    // kcat 1.7.1 has no -M yet: a producer that never gets input hosts the same mock cluster.
    args: ['-P', '-b', 'unused:1', '-t', '_boot', '-X', 'test.mock.num.brokers=3', '-d', 'mock'],
    logFile,
    stdin: true
  })
  let brokers: string[] = []
  await whenReady(
    child,
    async () => {
      const log = readFileSync(logFile).subarray(before).toString()
      brokers = /bootstrap\.servers=(\S+)\n/.exec(log)?.[1]?.split(',') ?? []
      return brokers.length > 0
    },
    10_000
  )
  return { kind: 'mock', brokers, whyMock: options.whyMock, child }
}
