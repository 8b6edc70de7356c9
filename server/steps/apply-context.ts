/** What a step's apply may use. Built by install/submit.ts for one answers revision; nobody else makes one. */
import type { Pool } from 'mysql2/promise'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import type { DeployTarget } from '../deploy/target.ts'

export interface ApplyContext {
  readonly install: string
  /** Absolute, 0700: boot file, credentials, logs, run files. */
  readonly stateDir: string
  /** Answers of steps that are done, without secrets. @throws AppError out-of-order */
  readonly answersOf: (step: string) => Promise<Readonly<Record<string, unknown>>>
  /** A kept secret of this or an earlier step; undefined when none was given. */
  readonly secretOf: (step: string, field: string) => Promise<string | undefined>
  /** Absolute path of a 0600 file with a kept secret, for a service that needs it to start; undefined when none was given. */
  readonly secretFile: (step: string, field: string) => Promise<string | undefined>
  /** Absolute path of the 0600 file of a secret that we make ourselves; made once, when absent. */
  readonly credentialFile: (name: string, make: () => string | Promise<string>) => Promise<string>
  /**
   * One effect: intent in the ledger, `make` (idempotent: adopts what is there), done in the ledger with what it
   * returned. On resume `make` runs again and must come to the same end.
   * @param existed whether it was there before we ever made it: then destroy leaves it
   */
  readonly effect: <T>(
    kind: EffectKind,
    name: string,
    make: () => Promise<T>,
    existed?: () => Promise<boolean>
  ) => Promise<T>
  /** Tells the page and the terminal what is being done. */
  readonly report: (phase: string) => void
  readonly database: Pool
  readonly deploy: DeployTarget
  /** mTLS client with the wizard's own role. @throws AppError out-of-order before the KMS step is done */
  readonly kms: () => Promise<KmsClient>
}

/** One effect that a step's answers ask for, as the ledger names it. */
export interface Effect {
  readonly kind: EffectKind
  /** A database user is named without its host part, which only the server knows. */
  readonly name: string
  /** The answers that it is made of; absent: all of the step's. */
  readonly of?: readonly string[]
}

export type EffectKind =
  | 'schema'
  | 'database-user'
  | 'migration'
  | 'credential'
  | 'key'
  | 'key-store'
  | 'certificate'
  | 'certificate-authority'
  | 'tenant'
  | 'administrator'
  | 'license'
  | 'topic'
  | 'service'
