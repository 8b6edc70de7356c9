/** What `keyscaler prerequisites` makes in the database server, where its passwords are kept, and the note of what was made. */
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateJson } from '../../../lib/config/private-file.ts'

export const schema = 'keyscaler'
export const user = 'keyscaler'

/** Of the state folder; all 0600. */
export function keptIn(stateDir: string) {
  const folder = join(stateDir, prerequisitesFolder)
  return {
    folder,
    user: join(folder, 'database-password'),
    root: join(folder, 'database-root.cnf'),
    /** For the client, while the account is taken away. */
    account: join(folder, 'database-account.cnf'),
    made: join(folder, 'database-made.json')
  }
}

export const prerequisitesFolder = 'prerequisites'

const note = z.strictObject({
  /** The database was not there before. */
  schema: z.boolean(),
  /** Hosts for which the account was not there before. */
  hosts: z.array(z.string())
})
export type MadeDatabase = z.infer<typeof note>

/** Null: nothing was made here, or by a version that kept no note. */
export function madeHere(stateDir: string): Promise<MadeDatabase | null> {
  const cure = 'Put it back from a copy, or remove it: then what was made in the database server is left there.'
  return readPrivateJson(keptIn(stateDir).made, note, cure)
}
