/** Builds the context of one apply: ledgered effects, kept secrets, credentials, the database and the KMS. */
import type { Pool } from 'mysql2/promise'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import type { DeployTarget } from '../deploy/target.ts'
import type { ApplyContext } from '../steps/apply-context.ts'
import type { StepId } from '../steps/step.ts'
import type { AnswersByStep } from './progress.ts'
import { credentialPath, type SecretKeeper } from './secrets.ts'
import type { InstallStore } from './store.ts'
import type { Watcher } from './submit.ts'

export interface ApplyParts {
  readonly install: string
  readonly stateDir: string
  readonly store: InstallStore
  readonly keeper: SecretKeeper
  readonly answers: AnswersByStep
  readonly database: () => Pool
  readonly deploy: DeployTarget
  readonly kms: () => Promise<KmsClient>
  readonly watch: Watcher
}

export function applyContext(step: StepId, parts: ApplyParts): ApplyContext {
  const { stateDir, store, keeper, answers, watch, deploy } = parts
  const secretOf = async (of: string, field: string) => {
    const place = answers.get(of as StepId)?.secrets[field]
    return place === undefined ? undefined : keeper.open(of, field, place)
  }
  return {
    install: parts.install,
    stateDir,
    answersOf: async (of) => {
      const stored = answers.get(of as StepId)
      if (stored === undefined) throw new AppError('out-of-order', `The step ${of} has no answers yet.`)
      return stored.values
    },
    secretOf,
    secretFile: async (of, field) => {
      const place = answers.get(of as StepId)?.secrets[field]
      if (place === undefined) return undefined
      if ('file' in place) return credentialPath(stateDir, place.file)
      const path = credentialPath(stateDir, `${of}-${field}`)
      await writePrivateFile(path, await keeper.open(of, field, place))
      return path
    },
    credentialFile: async (name, make) => {
      const path = credentialPath(stateDir, name)
      if ((await readPrivateFile(path)) === null) await writePrivateFile(path, await make())
      return path
    },
    effect: async (kind, name, make, existed) => {
      // Before an effect, never in one: what was begun is finished.
      watch.signal?.throwIfAborted()
      await store.intend(step, kind, name, existed === undefined || !(await existed()))
      watch.effect?.(kind, name, 'begun')
      const made = await make()
      await store.done(kind, name)
      watch.effect?.(kind, name, 'done')
      return made
    },
    report: (phase) => watch.phase?.(phase),
    get database() {
      return parts.database()
    },
    deploy: {
      ...deploy,
      deploy: (plan, report) => deploy.deploy(plan, report, watch),
      restart: (name, report) => deploy.restart(name, report, watch)
    },
    kms: parts.kms
  }
}
