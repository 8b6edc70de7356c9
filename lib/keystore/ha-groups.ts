/**
 * HA groups of a Luna client: several partitions behind one virtual slot, which looks like a token of its own. They are made
 * by the client's configuration (Chrystoki.conf, section VirtualToken), not by the HSM.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChrystokiConf, parseChrystokiConf } from '../luna-client/chrystoki-conf.ts'
import type { SlotFacts } from './token-facts.ts'

export interface HaGroup {
  readonly label: string
  /** The serial that the virtual token shows. */
  readonly serial: string
  /** Serials of the partitions in it. */
  readonly members: readonly string[]
}

/** As the client's model of its virtual slots is called in C_GetTokenInfo. */
const virtualModel = /virtual/i

export function haGroupsIn(conf: ChrystokiConf): readonly HaGroup[] {
  const section = conf.get('VirtualToken')
  const numbers = [...(section?.keys() ?? [])].flatMap((key) => /^VirtualToken(\d+)SN$/.exec(key)?.[1] ?? [])
  return numbers.map((number) => ({
    label: section?.get(`VirtualToken${number}Label`) ?? '',
    serial: section?.get(`VirtualToken${number}SN`) ?? '',
    members: (section?.get(`VirtualToken${number}Members`) ?? '').split(/[\s,]+/).filter((member) => member !== '')
  }))
}

/** @param confFolder folder of Chrystoki.conf; an unreadable one defines no groups (the library says what is wrong with it) */
export async function readHaGroups(confFolder: string): Promise<readonly HaGroup[]> {
  const text = await readFile(join(confFolder, 'Chrystoki.conf'), 'utf8').catch(() => '')
  return haGroupsIn(parseChrystokiConf(text))
}

/** The group whose virtual slot this token is; one without members when only the token says so. Null for a partition. */
export function haGroupOf(token: SlotFacts, groups: readonly HaGroup[]): HaGroup | null {
  const { serial, label, model } = token
  const known = groups.find((group) => group.serial === serial)
  if (known !== undefined) return known
  return virtualModel.test(model) ? { label, serial, members: [] } : null
}
