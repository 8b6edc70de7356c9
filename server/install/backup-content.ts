/** What stands inside a backup: one JSON object a line, in this order: head, files, tables with their rows, end. */
import { z } from 'zod'

/** Text of a column as the server writes it; base64 of a binary one. */
const cell = z.union([z.string(), z.null(), z.strictObject({ b: z.base64() })])
export type Cell = z.infer<typeof cell>

const migration = z.strictObject({ name: z.string().regex(/^[0-9a-z.-]+\.sql$/), checksum: z.string() })

export const backupLine = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('head'),
    version: z.literal(1),
    install: z.string(),
    /** ISO 8601. */
    at: z.string(),
    product: z.string(),
    /** Absolute: services' configurations name files in it. */
    stateDir: z.string(),
    /** The folder of a software key store; null: the keys are in a token. */
    keyStoreDir: z.string().nullable(),
    schema: z.string(),
    migrations: z.array(migration)
  }),
  z.strictObject({
    kind: z.literal('file'),
    root: z.enum(['state', 'key-store']),
    path: z.string(),
    mode: z.int(),
    data: z.base64().or(z.literal('')),
    /** Another line goes on with the same file. */
    more: z.boolean()
  }),
  z.strictObject({
    kind: z.literal('link'),
    root: z.enum(['state', 'key-store']),
    path: z.string(),
    target: z.string()
  }),
  z.strictObject({
    kind: z.literal('table'),
    name: z.string(),
    columns: z.array(z.string()),
    /** The next number that it gives; null: it gives none. */
    next: z.string().nullable()
  }),
  z.strictObject({ kind: z.literal('rows'), table: z.string(), rows: z.array(z.array(cell)) }),
  z.strictObject({ kind: z.literal('end'), files: z.int(), rows: z.int() })
])
export type BackupLine = z.infer<typeof backupLine>
export type BackupHead = Extract<BackupLine, { kind: 'head' }>
