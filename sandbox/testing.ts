/**
 * The servers that test files share. `npm test` starts one sandbox for the whole run and hands its addresses on in a
 * 0600 file; a test file run alone starts its own, only with the parts it asks for, and takes them with it when it ends.
 * Whoever uses it makes its own schema, topic prefix and token folder: nothing else keeps tests apart.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import type { KafkaAddress } from './kafka.ts'
import type { MariadbAddress } from './mariadb.ts'
import type { MemcachedAddress } from './memcached.ts'
import { type Sandbox, startSandbox } from './sandbox.ts'
import { writePrivate } from './secrets.ts'

export interface SharedAddresses {
  readonly mariadb: MariadbAddress
  readonly memcached: MemcachedAddress
  readonly kafka: KafkaAddress
}
export type SharedPart = keyof SharedAddresses
export const sharedParts = ['mariadb', 'memcached', 'kafka'] as const satisfies readonly SharedPart[]

/** Names the file with the addresses of the run's sandbox. */
export const sharedSandboxVariable = 'KEYSCALER_TEST_SANDBOX'

/**
 * The run's servers, or own ones when the file runs alone.
 * @param parts what the caller uses; nothing else is started for it
 */
export async function sharedSandbox<Part extends SharedPart>(
  parts: readonly Part[]
): Promise<Pick<SharedAddresses, Part>> {
  const file = process.env[sharedSandboxVariable]
  if (file !== undefined) return JSON.parse(readFileSync(file, 'utf8'))
  const missing = parts.filter((part) => !own.has(part))
  if (missing.length > 0) {
    const started = startSandbox<SharedPart>({ parts: missing }).then((sandbox) => {
      // The kernel ends the servers with this process (child.ts), so only the folder is left to remove.
      process.once('exit', () => rmSync(sandbox.dir, { recursive: true, force: true }))
      return sandbox
    })
    for (const part of missing) own.set(part, started)
  }
  const found = await Promise.all(parts.map(async (part) => [part, (await own.get(part))?.[part]] as const))
  return Object.fromEntries(found) as Pick<SharedAddresses, Part>
}

/** Of a file that runs alone: what it asked for before, it is given again. */
const own = new Map<SharedPart, Promise<SharedAddresses>>()

/** For the test runner: writes what `sharedSandbox` reads. */
export function shareSandbox(sandbox: Sandbox<SharedPart>, file: string): void {
  const { mariadb, memcached, kafka } = sandbox
  const withoutChild = <T extends object>({ child, ...address }: T & { child: unknown }): object => address
  const addresses = {
    mariadb: withoutChild(mariadb),
    memcached: withoutChild(memcached),
    kafka: withoutChild(kafka)
  }
  writePrivate(file, JSON.stringify(addresses))
}

/** A name that no other test has, good as schema, topic prefix, user or folder: letters, digits and `_`, at most 32. */
export function freshName(what: string): string {
  return `${what.slice(0, 20)}_${randomBytes(5).toString('hex')}`
}
