/** What stands of a service that nobody supervised for a while. Looks only, but for a latch that has outlived its reason. */
import { exitCodes } from '../../../lib/service/exit-codes.ts'
import { readLatch } from './latch.ts'
import { isAlive, type PidRecord, readRecord } from './pid-record.ts'
import { configHash, hasFlag, type RunFolder, readDeployedConfig, setFlag } from './run-folder.ts'
import { exitOf } from './running-process.ts'

export type FoundService =
  /** Never deployed. */
  | { readonly is: 'absent' }
  /** Left down, and known to be. */
  | { readonly is: 'latched'; readonly detail: string }
  /** Its deployment was not over when its wizard ended. */
  | { readonly is: 'unwanted' }
  /** Its PIN was rejected, and nothing has changed since: starting it again would be in vain. */
  | { readonly is: 'rejected'; readonly record: PidRecord }
  /** As it is deployed. */
  | { readonly is: 'running'; readonly record: PidRecord; readonly config: unknown }
  /** Down, or of another configuration. */
  | { readonly is: 'wanted'; readonly config: unknown; readonly hash: string }

export async function findService(run: RunFolder, stateDir: string): Promise<FoundService> {
  const config = await readDeployedConfig(run)
  if (config === null) return { is: 'absent' }
  const hash = await configHash(config, stateDir)
  const last = await readRecord(run.pid)
  const living = last !== null && isAlive(last) ? last : null
  const latch = await readLatch(run)
  // Another password since: what was rejected is not what would be sent.
  if (latch !== null && latch.configHash !== null && latch.configHash !== hash) await setFlag(run.latched, false)
  else if (latch !== null) return { is: 'latched', detail: latch.detail }
  if (living === null) {
    if (!(await hasFlag(run.wanted))) return { is: 'unwanted' }
    const wasRejected = last?.configHash === hash && (await exitOf(last, run)).code === exitCodes.pinRejected
    return wasRejected ? { is: 'rejected', record: last } : { is: 'wanted', config, hash }
  }
  return living.configHash === hash ? { is: 'running', record: living, config } : { is: 'wanted', config, hash }
}
