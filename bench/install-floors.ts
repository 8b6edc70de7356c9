/**
 * What an install cannot do without, each measured alone on an idle machine: the tables, the keys, the start of each program, and
 * the KMS started once more, since Setup Complete! tells that it "decrypted after restart" (guide). Their sum is a floor because
 * nothing else is in it: no check, no certificate, no ledger.
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { compiledCode } from '../lib/keystore/compiled-code.mjs'
import type { KeyAlgorithm } from '../lib/keystore/keystore.ts'
import { type Child, startChild, whenReady } from '../sandbox/child.ts'
import type { MariadbAddress } from '../sandbox/mariadb.ts'
import { startFlags } from '../scripts/prepare/start-flags.mjs'
import { readLivingRecord } from '../server/deploy/process/pid-record.ts'
import { askReadiness } from '../server/deploy/process/readiness.ts'
import { readDeployedConfig, runFolder } from '../server/deploy/process/run-folder.ts'
import { end } from '../server/deploy/process/running-process.ts'
import { isListening, reachOf } from '../server/deploy/process/service-request.ts'
import { catalog, type ServiceName } from '../services/catalog.ts'
import type { BenchToken } from './token.ts'

const root = join(import.meta.dirname, '..')

/** Each after those that it needs. */
const inOrder: readonly ServiceName[] = ['kms', 'dae', 'mqs', 'cp']

/** Of the install: master key, service CA, the tenant's key, its device CA, and the one that signs the install record. */
const keys: readonly KeyAlgorithm[] = ['AES-256', 'EC-P256', 'AES-256', 'EC-P256', 'EC-P256']

/** @returns milliseconds for all migrations on an empty schema, without the start of the process */
export async function migrationsAlone(mariadb: MariadbAddress): Promise<number> {
  const child = fork(join(import.meta.dirname, 'migrate-child.ts'), { execArgv: [] })
  const { host, port, user, password } = mariadb
  child.send({ host, port, user, password })
  const told = once(child, 'message').then(([ms]) => Number(ms))
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`the migrations ended with ${code}`)
  })
  try {
    return await Promise.race([told, ended])
  } finally {
    ended.catch(() => {})
    child.disconnect()
  }
}

/** @returns milliseconds for making the install's keys in a token that is open */
export async function keysAlone(token: BenchToken): Promise<number> {
  const store = await token.open(1)
  try {
    const began = performance.now()
    for (const algorithm of keys) {
      await store.createKey({ id: randomBytes(16).toString('hex'), algorithm, label: 'bench' })
    }
    return performance.now() - began
  } finally {
    await store.close()
  }
}

/** @returns milliseconds of each program from its start until it is ready, one after the other, all that it needs being there */
export async function startsAlone(stateDir: string): Promise<Readonly<Record<ServiceName | 'wizard', number>>> {
  for (const name of inOrder.toReversed()) await endDeployed(stateDir, name)
  const started: Child[] = []
  try {
    const times: Partial<Record<ServiceName, number>> = {}
    for (const name of inOrder) times[name] = await startAlone(stateDir, name, (child) => started.push(child))
    return { wizard: await wizardAlone(), kms: 0, dae: 0, mqs: 0, cp: 0, ...times }
  } finally {
    for (const child of started.toReversed()) await child.stop()
  }
}

/** @returns milliseconds of the KMS from its start until it is ready; the one that ran has ended before, which is not counted */
export async function restartAlone(stateDir: string): Promise<number> {
  await endDeployed(stateDir, 'kms')
  const started: Child[] = []
  try {
    return await startAlone(stateDir, 'kms', (child) => started.push(child))
  } finally {
    for (const child of started) await child.stop()
  }
}

async function endDeployed(stateDir: string, name: ServiceName): Promise<void> {
  const running = await readLivingRecord(runFolder(stateDir, name).pid)
  if (running !== null) await end(running)
}

/** @param onStart has to stop it, also when it is never ready */
async function startAlone(stateDir: string, name: ServiceName, onStart: (child: Child) => void): Promise<number> {
  const run = runFolder(stateDir, name)
  const reach = reachOf(await readDeployedConfig(run))
  if (reach === null) throw new Error(`${name} is not deployed`)
  const began = performance.now()
  const child = startChild({
    name,
    command: process.execPath,
    args: [join(root, catalog[name].program), '--config', run.config],
    logFile: run.log,
    cwd: run.folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...compiledCode() }
  })
  onStart(child)
  const isReady = async () =>
    (await isListening(reach)) && (await askReadiness(reach, catalog[name].health.path, 2000)).ready
  await whenReady(child, isReady, catalog[name].health.withinMs)
  return performance.now() - began
}

/** The least that `keyscaler apply` can be: its program loaded, and ended by its own help. */
async function wizardAlone(): Promise<number> {
  const began = performance.now()
  const child = fork(join(root, 'server/cli.mjs'), ['apply', '--help'], {
    execArgv: startFlags(root),
    stdio: 'ignore'
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`keyscaler apply --help ended with ${code}`)
  return performance.now() - began
}
