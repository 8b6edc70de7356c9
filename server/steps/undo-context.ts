/** What taking an effect away may use. Built by install/destroy.ts; nobody else makes one. */
import type { Pool } from 'mysql2/promise'
import type { EncryptsData, KeyStore } from '../../lib/keystore/keystore.ts'
import type { DeployTarget } from '../deploy/target.ts'
import type { EffectKind } from './apply-context.ts'

/** Names that a person has typed, so that what cannot be brought back is never taken away by mistake. */
export interface ConfirmedNames {
  /** Label of the token whose keys may be destroyed. */
  readonly keys?: string | undefined
  /** Name of the database that may be dropped although devices are enrolled in it. */
  readonly database?: string | undefined
  /** Name of the database that may be left although the keys that open it are destroyed. */
  readonly unreadable?: string | undefined
}

export interface UndoContext {
  /** Absolute, 0700. */
  readonly stateDir: string
  readonly confirmed: ConfirmedNames
  readonly deploy: DeployTarget
  /** The install's schema. @throws AppError out-of-order before the database step was done */
  readonly database: () => Pool
  /** Stored answers without secrets. @throws AppError out-of-order */
  readonly answersOf: (step: string) => Promise<Readonly<Record<string, unknown>>>
  readonly secretOf: (step: string, field: string) => Promise<string | undefined>
  /** The key store on record, opened once for all keys: one login. Null: none is on record. */
  readonly keyStore: () => Promise<(KeyStore & EncryptsData) | null>
}

/** How it ended: taken away, was not there any more, or left, with the reason. */
export type Undone = 'removed' | 'absent' | { readonly left: string }

/** @param name as in the ledger */
export type Undo = (name: string, context: UndoContext) => Promise<Undone>

/** How each kind of a step's effects is taken away again; what is not in it goes with the schema. */
export type Undos = Readonly<Partial<Record<EffectKind, Undo>>>
