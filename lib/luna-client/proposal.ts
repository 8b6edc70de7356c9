/**
 * What `keyscaler hsm import` found, for step 3 to suggest: where the client is, and the partition when there is only
 * one. Kept with the install, so that no login shell and no /etc/profile has to know ChrystokiConfigurationPath.
 */
import { chown, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../config/private-file.ts'

const proposalSchema = z.strictObject({
  /** Absolute path of the PKCS#11 library. */
  library: z.string().startsWith('/'),
  /** Folder of Chrystoki.conf. */
  confPath: z.string().startsWith('/'),
  slot: z.int().min(0).max(0xffff_ffff).optional(),
  partition: z.string().max(64).optional(),
  serial: z.string().max(64).optional(),
  /** When the client was imported. */
  at: z.string()
})

export type HsmProposal = Readonly<z.infer<typeof proposalSchema>>

const pathOf = (stateDir: string) => join(stateDir, 'hsm-client.json')
const environmentOf = (stateDir: string) => join(stateDir, 'hsm-client.env')

/** Null when there is none, or none that we may or can read: it is a suggestion only. */
export async function readHsmProposal(stateDir: string): Promise<HsmProposal | null> {
  const text = await readPrivateFile(pathOf(stateDir)).catch(() => null)
  if (text === null) return null
  try {
    return proposalSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

/**
 * Writes the proposal, and beside it an environment file for lunacm and vtl (`set -a; . hsm-client.env`). Both belong to
 * whom the state folder belongs to: root may import for a wizard that runs as somebody else.
 * @returns false when both said the same already (`at` apart)
 */
export async function writeHsmProposal(stateDir: string, proposal: HsmProposal): Promise<boolean> {
  const last = await readHsmProposal(stateDir)
  if (last !== null && JSON.stringify({ ...last, at: '' }) === JSON.stringify({ ...proposal, at: '' })) return false
  await writePrivateFile(pathOf(stateDir), `${JSON.stringify(proposal, null, 2)}\n`)
  await writePrivateFile(environmentOf(stateDir), `ChrystokiConfigurationPath="${proposal.confPath}"\n`)
  const { uid, gid } = await stat(stateDir)
  if (process.getuid?.() === 0 && uid !== 0) {
    await Promise.all([pathOf(stateDir), environmentOf(stateDir)].map((path) => chown(path, uid, gid)))
  }
  return true
}
