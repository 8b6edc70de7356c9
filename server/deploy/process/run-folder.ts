/** `<state>/run/<service>/`: what one service was deployed with, who runs it, and what it said. */
import { createHash } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readPrivateFile, readPrivateJson, writePrivateFile } from '../../../lib/config/private-file.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { ServiceEntry, ServiceName } from '../../../services/catalog.ts'

export interface RunFolder {
  readonly folder: string
  readonly config: string
  readonly pid: string
  readonly log: string
  /** Present: it became ready once with this configuration, and shall run. */
  readonly wanted: string
  /** Present: its PIN was rejected; it stays down until a person gives another (latch.ts). */
  readonly latched: string
}

export function runFolder(stateDir: string, service: ServiceName): RunFolder {
  const folder = join(stateDir, 'run', service)
  const file = (name: string) => join(folder, name)
  return {
    folder,
    config: file('config.json'),
    pid: file('pid.json'),
    log: file('service.log'),
    wanted: file('wanted'),
    latched: file('latched')
  }
}

/** @throws AppError invalid-input with every problem */
export async function validConfig(entry: ServiceEntry, raw: unknown): Promise<unknown> {
  const parsed = (await entry.config()).safeParse(raw)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new AppError('invalid-input', `The configuration of ${entry.title} is not valid. ${problems.join(' ')}`)
}

export async function writeConfig(run: RunFolder, config: unknown): Promise<void> {
  await writePrivateFile(run.config, `${JSON.stringify(config, null, 2)}\n`)
}

/** What was deployed last; null when nothing was. @throws AppError internal when it is damaged */
export function readDeployedConfig(run: RunFolder): Promise<unknown> {
  const asItIs = { parse: (value: unknown) => value }
  return readPrivateJson(
    run.config,
    asItIs,
    'Put it back from a copy of the folder, or from a backup (keyscaler restore).'
  )
}

export async function setFlag(file: string, on: boolean): Promise<void> {
  if (on) await writePrivateFile(file, `${new Date().toISOString()}\n`)
  else await rm(file, { force: true })
}

export async function hasFlag(file: string): Promise<boolean> {
  return (await readPrivateFile(file)) !== null
}

/**
 * Digest of a configuration and of the files that it names in the state directory (certificates, credentials): another
 * PIN or certificate under the same path is another configuration. It is not a digest of a PIN alone: the service's
 * private keys are always among the files.
 */
export async function configHash(config: unknown, stateDir: string): Promise<string> {
  const hash = createHash('sha256').update(canonical(config))
  for (const path of pathsIn(config).filter((path) => path.startsWith(`${stateDir}/`))) {
    const info = await stat(path).catch(() => null)
    if (info?.isFile() && info.size <= 1_000_000) hash.update(`\0${path}\0`).update(await readFile(path))
  }
  return hash.digest('hex')
}

/** The order of keys is no difference. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, part]) => `${JSON.stringify(key)}:${canonical(part)}`).join()}}`
}

function pathsIn(value: unknown): string[] {
  if (typeof value === 'string') return value.startsWith('/') ? [value] : []
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : []
}
