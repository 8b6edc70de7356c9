/** For the tests of steps: an apply context that keeps everything in memory, and a ledger to look at. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { Pool } from 'mysql2/promise'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import type { ApplyContext } from './apply-context.ts'

export interface TestContext extends ApplyContext {
  /** "schema keyscaler", in the order in which they were begun. */
  readonly effects: string[]
}

interface Given {
  readonly database?: Pool
  readonly kms?: KmsClient
  readonly stateDir?: string
  readonly install?: string
  readonly secrets?: Readonly<Record<string, string>>
  /** Throws before the effect of this number (0 = the first) is made: a kill at that place. */
  readonly killAt?: number
}

export class Killed extends Error {}

/** A folder that is gone with the test file. */
export function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ks-steps-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function applyContext(given: Given = {}): TestContext {
  const { stateDir = stateFolder(), install = 'this-install', secrets = {} } = given
  const effects: string[] = []
  const none = (what: string) => new AppError('out-of-order', `no ${what} in this test`)
  return {
    install,
    stateDir,
    effects,
    answersOf: async () => ({}),
    secretOf: async (_step, field) => secrets[field],
    secretFile: async () => undefined,
    credentialFile: async (name, make) => {
      const path = join(stateDir, 'credentials', name)
      if ((await readPrivateFile(path)) === null) await writePrivateFile(path, await make())
      return path
    },
    effect: async (kind, name, make) => {
      if (effects.length === given.killAt) throw new Killed()
      effects.push(`${kind} ${name}`)
      return make()
    },
    report: () => {},
    get database(): Pool {
      if (given.database === undefined) throw none('database')
      return given.database
    },
    deploy: {
      deploy: () => Promise.reject(none('target')),
      prepare: () => {},
      lastSeen: () => [],
      status: async () => [],
      resume: async () => {},
      restart: () => Promise.reject(none('target')),
      remove: () => Promise.reject(none('target')),
      stop: async () => {}
    },
    kms: () => (given.kms === undefined ? Promise.reject(none('KMS')) : Promise.resolve(given.kms))
  }
}
