/** `destroy.json`: what a destroy has done so far, so that one that was killed goes on where it was. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../../lib/config/private-file.ts'
import type { EffectKind } from '../steps/apply-context.ts'

/** What is needed to take the next is taken last: the KMS opens the broker's password, the database names the keys. */
export const destroyOrder: readonly EffectKind[] = [
  'topic',
  'service',
  'certificate',
  'certificate-authority',
  'key',
  'key-store',
  'credential',
  'administrator',
  'license',
  'tenant',
  'database-user',
  'migration',
  'schema'
]

/** Why something stays that is in the ledger and not ours. */
export const wasThere = { left: 'it was there before this install' } as const

const outcomeSchema = z.union([z.enum(['removed', 'absent', 'with the schema']), z.strictObject({ left: z.string() })])
const rowSchema = z.strictObject({
  step: z.string(),
  kind: z.enum(destroyOrder),
  name: z.string(),
  /** Null: still to come. */
  outcome: outcomeSchema.nullable()
})
const recordSchema = z.strictObject({ install: z.string(), begunAt: z.string(), rows: z.array(rowSchema) })
export type DestroyRecord = z.infer<typeof recordSchema>

export type DestroyRow = DestroyRecord['rows'][number]

/** Why it stays; null: it is still to come, or was taken away. */
export function leftBecause({ outcome }: DestroyRow): string | null {
  return typeof outcome === 'object' ? (outcome?.left ?? null) : null
}

export const destroyFile = 'destroy.json'

/** A destroy was begun here and is not over: nothing else may work on this install. */
export function isBeingDestroyed(stateDir: string): boolean {
  return existsSync(join(stateDir, destroyFile))
}

/** @throws AppError internal when it is damaged */
export function readDestroyRecord(stateDir: string): Promise<DestroyRecord | null> {
  const cure = 'Move it away: keyscaler destroy then begins anew, and finds what is gone already.'
  return readPrivateJson(join(stateDir, destroyFile), recordSchema, cure)
}

export async function writeDestroyRecord(stateDir: string, record: DestroyRecord): Promise<void> {
  await writePrivateFile(join(stateDir, destroyFile), JSON.stringify(record))
}
