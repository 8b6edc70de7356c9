/** `restore.json`: a restore was begun in this state folder and is not over; until then nothing else opens it. */
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'

/**
 * What this machine knows of itself, also before there is an install: rejected passwords, what `keyscaler prerequisites` made
 * (the certificate of the wizard among it), and the client that `keyscaler hsm import` set up. It is newer than what the backup
 * has of it, and stays; the files of one row belong together.
 */
const ofThisMachine = {
  'pin-guard': /^pin-guard\//,
  prerequisites: /^prerequisites\//,
  'hsm-client': /^hsm-client\.(json|env)$/,
  'wizard-web': /^tls\/wizard-web\./
} as const
export type OfThisMachine = keyof typeof ofThisMachine
export const allOfThisMachine = Object.keys(ofThisMachine) as OfThisMachine[]

/** @param path from the state folder */
export const isOf = (names: readonly OfThisMachine[], path: string): boolean =>
  names.some((name) => ofThisMachine[name].test(path))

export const restoreMarker = 'restore.json'

const markerSchema = z.object({
  install: z.string(),
  /** When the backup was made. */
  at: z.string(),
  schema: z.string(),
  /** What was here before, and is not of the backup. */
  stays: z.array(z.enum(allOfThisMachine)).default(allOfThisMachine)
})
export type RestoreMarker = z.infer<typeof markerSchema>

/** Null: no restore was begun here, or it is over. */
export function readRestoreMarker(stateDir: string): Promise<RestoreMarker | null> {
  const cure = 'Move the folder away, drop the half-restored database and run keyscaler restore again.'
  return readPrivateJson(join(stateDir, restoreMarker), markerSchema, cure)
}

export async function writeRestoreMarker(stateDir: string, marker: RestoreMarker): Promise<void> {
  await writePrivateFile(join(stateDir, restoreMarker), JSON.stringify(marker))
}

/** `keyscaler destroy` takes away what a ledger says, and there is none yet: giving up is done by hand. */
export function giveUpWords(stateDir: string, { schema }: Pick<RestoreMarker, 'schema'>): string {
  return `move the folder ${stateDir} away and drop the half-restored database ${schema}`
}

export function againWords(stateDir: string, marker: RestoreMarker): string {
  return `Run keyscaler restore again with the backup of ${marker.at}: it begins anew. To give it up, ${giveUpWords(stateDir, marker)}.`
}

/** @throws AppError locked when a restore was begun here and is not over */
export async function refuseHalfRestored(stateDir: string): Promise<void> {
  const marker = await readRestoreMarker(stateDir)
  if (marker === null) return
  throw new AppError('locked', `A restore into ${stateDir} was begun and is not over.`, {
    cure: againWords(stateDir, marker)
  })
}
