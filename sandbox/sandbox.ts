/**
 * The embedded environment of one machine: private MariaDB, memcached, Kafka and key store folders, all on 127.0.0.1,
 * all gone with this process. `npm start`, the demo and the tests use this one door.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Child } from './child.ts'
import { type Kafka, startApacheKafka, whyNoApacheKafka } from './kafka.ts'
import { startMockKafka } from './kafka-mock.ts'
import { type Mariadb, startMariadb } from './mariadb.ts'
import { type Memcached, startMemcached } from './memcached.ts'
import { rememberedPorts } from './ports.ts'
import { createLunaPartition, createNssFolder, type LunaPartition, type NssFolder } from './tokens.ts'

export const sandboxParts = ['mariadb', 'memcached', 'kafka', 'luna', 'nss'] as const
export type SandboxPart = (typeof sandboxParts)[number]

export interface SandboxParts {
  readonly mariadb: Mariadb
  readonly memcached: Memcached
  readonly kafka: Kafka
  readonly luna: LunaPartition
  readonly nss: NssFolder
}

export type Sandbox<Part extends SandboxPart = SandboxPart> = Pick<SandboxParts, Part> & {
  readonly dir: string
  /** Idempotent; stops what was started, and removes the folder when it was a temporary one. */
  readonly stop: () => Promise<void>
}

export interface SandboxOptions<Part extends SandboxPart> {
  /** Only these; all when absent. */
  readonly parts?: readonly Part[]
  /** Kept, ports included, for the next start. Absent: a temporary folder that goes when the sandbox stops. */
  readonly dir?: string
  /** A line a part when it is up. */
  readonly report?: (line: string) => void
  /** Default: KEYSCALER_SANDBOX_KAFKA, else Apache Kafka where it can be had. */
  readonly kafka?: 'apache' | 'mock'
}

/** @throws Error of the first part that did not start; the others are stopped then. */
export async function startSandbox<Part extends SandboxPart = SandboxPart>(
  options: SandboxOptions<Part> = {}
): Promise<Sandbox<Part>> {
  const { report = () => {} } = options
  const wanted: readonly SandboxPart[] = options.parts ?? sandboxParts
  const temporary = options.dir === undefined
  const dir = temporary ? mkdtempSync(join(tmpdir(), 'ks-')) : resolve(options.dir)
  mkdirSync(dir, { recursive: true })
  chmodSync(dir, 0o711) // MariaDB, as its own user, walks through it; the folders inside close themselves.
  const children: Child[] = []
  let stopped: Promise<void> | undefined

  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      await Promise.all(children.map((child) => child.stop(temporary ? 'now' : 'gently')))
      if (temporary) rmSync(dir, { recursive: true, force: true })
    })()
    return stopped
  }

  const part = async <T>(
    name: SandboxPart,
    say: (it: T) => string,
    start: () => Promise<T>
  ): Promise<T | undefined> => {
    if (!wanted.includes(name)) return undefined
    const began = performance.now()
    const it = await start()
    if (hasChild(it)) children.push(it.child)
    report(`${say(it)} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
    return it
  }

  const ports = await rememberedPorts(dir, ['mariadb', 'memcached', 'kafka', 'kafkaController'])
  const starts = await Promise.allSettled([
    part<Mariadb>(
      'mariadb',
      (it) => `MariaDB on ${it.host}:${it.port}`,
      () => startMariadb({ dir: join(dir, 'mariadb'), port: ports.mariadb })
    ),
    part<Memcached>(
      'memcached',
      (it) => `memcached on ${it.server}`,
      () => startMemcached({ dir, port: ports.memcached })
    ),
    part<Kafka>('kafka', sayKafka, () => startKafka(dir, ports, options.kafka)),
    part<LunaPartition>(
      'luna',
      (it) => `Partition ${it.label} in slot ${it.slot}, its library ${it.module}`,
      () => createLunaPartition(join(dir, 'luna'), dir)
    ),
    part<NssFolder>(
      'nss',
      (it) => `Folder for an NSS key store: ${it.folder}`,
      async () => createNssFolder(join(dir, 'nss'), dir)
    )
  ])
  const failed = starts.find((start) => start.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  const [mariadb, memcached, kafka, luna, nss] = starts.map((start) =>
    start.status === 'fulfilled' ? start.value : null
  )
  return { dir, stop, mariadb, memcached, kafka, luna, nss } as Sandbox<Part>
}

function startKafka(
  dir: string,
  ports: { kafka: number; kafkaController: number },
  choice = process.env.KEYSCALER_SANDBOX_KAFKA
): Promise<Kafka> {
  if (choice !== undefined && choice !== 'apache' && choice !== 'mock') {
    throw new Error(`KEYSCALER_SANDBOX_KAFKA is "${choice}"; it takes "apache" or "mock"`)
  }
  const lacking = whyNoApacheKafka()
  if (choice === 'apache' && lacking !== null) throw new Error(`Apache Kafka was asked for, but ${lacking}`)
  const whyMock = choice === 'mock' ? 'KEYSCALER_SANDBOX_KAFKA=mock asks for it' : lacking
  if (whyMock !== null) return startMockKafka({ dir, whyMock })
  return startApacheKafka({ dir: join(dir, 'kafka'), port: ports.kafka, controllerPort: ports.kafkaController })
}

function sayKafka(kafka: Kafka): string {
  const where = kafka.brokers.join(', ')
  return kafka.whyMock === null ? `Apache Kafka on ${where}` : `Warning: mock Kafka on ${where}, since ${kafka.whyMock}`
}

function hasChild(part: unknown): part is { child: Child } {
  return typeof part === 'object' && part !== null && 'child' in part
}
