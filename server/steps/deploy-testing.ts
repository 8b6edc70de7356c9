/**
 * For the tests of the deployment steps: a database as its own step leaves it, a state directory, the process target, and
 * a context as install/apply-step.ts builds it. The services are the real programs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after } from 'node:test'
import type { Pool } from 'mysql2/promise'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { openPool } from '../../lib/database/pool.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import type { Finding } from '../checks/check.ts'
import { serviceAddress } from '../deploy/addresses.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import type { DeployTarget } from '../deploy/target.ts'
import { processTarget } from '../deploy/targets/process.ts'
import type { ApplyContext } from './apply-context.ts'
import { databaseStep } from './database/step.ts'
import type { DefinedStep, Submission } from './define-step.ts'

const root = resolve(import.meta.dirname, '../..')

/** Gone when the test file ends, services first. */
export const dir = mkdtempSync(join(tmpdir(), 'deploy-test-'))
const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
  rmSync(dir, { recursive: true, force: true })
})

export interface ApplyWorld {
  readonly stateDir: string
  readonly database: Pool
  readonly target: DeployTarget
  /** Parses, keeps values and secrets, applies. @param stopAt "kind name" of an effect before which it is "killed", or "… done" */
  readonly apply: (step: DefinedStep, raw: Record<string, unknown>, stopAt?: string) => Promise<void>
  /** As Next does it: the same answers are checked and then applied. @param between what happens between the two */
  readonly submit: (step: DefinedStep, raw: Record<string, unknown>, between?: () => Promise<void>) => Promise<void>
  /** "kind name" of each effect that was begun and whose end no run has seen: rows of the ledger that stay at "intent". */
  readonly unfinished: () => readonly string[]
  /** Answers of a step that is not applied here. */
  readonly keep: (step: string, values: Record<string, unknown>) => void
  readonly check: (step: DefinedStep, raw: Record<string, unknown>) => Promise<readonly Finding[]>
  readonly kms: () => KmsClient
}

/** Stands for a kill -9. */
export class Stopped extends Error {}

export async function newApplyWorld(): Promise<ApplyWorld> {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const stateDir = join(dir, freshName('state'))
  const dbName = freshName('steps')
  const database = openPool({ ...mariadb, database: dbName })
  ends.push(() => database.end())
  const target = processTarget({ stateDir, root, lifelineFd: null })
  ends.push(() => target.stop())

  const answers = new Map<string, Readonly<Record<string, unknown>>>()
  const secrets = new Map<string, string>()
  const begun = new Set<string>()
  const credential = (name: string) => join(stateDir, 'credentials', name)
  const kms = () => {
    const { address } = serviceAddress('kms', String(answers.get('kms')?.kmsHost))
    const client = openKmsClient({ address, identity: identityFiles(stateDir, 'wizard') })
    ends.push(() => client.close())
    return client
  }
  const context = (stopAt?: string): ApplyContext => ({
    install: 'a1b2c3d4-0000-0000-0000-000000000000',
    stateDir,
    answersOf: async (step) => answers.get(step) ?? {},
    secretOf: async (step, field) => secrets.get(`${step}-${field}`),
    secretFile: async (step, field) => {
      const secret = secrets.get(`${step}-${field}`)
      if (secret === undefined) return undefined
      const path = credential(`${step}-${field}`)
      if ((await readPrivateFile(path)) !== secret) await writePrivateFile(path, secret)
      return path
    },
    credentialFile: async (name, make) => {
      if ((await readPrivateFile(credential(name))) === null) await writePrivateFile(credential(name), await make())
      return credential(name)
    },
    effect: async (kind, name, make) => {
      const effect = `${kind} ${name}`
      begun.add(effect)
      if (stopAt === effect) throw new Stopped(stopAt)
      const made = await make()
      if (stopAt === `${effect} done`) throw new Stopped(stopAt)
      begun.delete(effect)
      return made
    },
    report: () => {},
    database,
    deploy: target,
    kms: async () => kms()
  })
  const around = () => ({
    ...{ stateDir, install: 'test', earlier: Object.fromEntries(answers), progress: () => {} },
    services: { database }
  })
  const applySubmitted = async (step: DefinedStep, submitted: Submission, stopAt?: string) => {
    answers.set(step.id, submitted.values)
    for (const [field, secret] of Object.entries(await submitted.keepSecrets())) {
      secrets.set(`${step.id}-${field}`, secret)
    }
    await submitted.apply(context(stopAt))
  }
  const apply: ApplyWorld['apply'] = (step, raw, stopAt) => applySubmitted(step, submission(step, raw), stopAt)
  const submit: ApplyWorld['submit'] = async (step, raw, between) => {
    const submitted = submission(step, raw)
    await submitted.check(around())
    await between?.()
    await applySubmitted(step, submitted)
  }
  const check: ApplyWorld['check'] = (step, raw) => submission(step, raw).check(around())
  const { host, port, user, password } = mariadb
  await apply(databaseStep, { dbHost: host, dbPort: port, dbName, dbUser: user, dbPassword: password })
  return {
    stateDir,
    database,
    target,
    apply,
    submit,
    kms,
    unfinished: () => [...begun],
    keep: (step, values) => void answers.set(step, values),
    check
  }
}

function submission(step: DefinedStep, raw: Record<string, unknown>): Submission {
  const parsed = step.parse(raw)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fields))
  return parsed.submission
}
