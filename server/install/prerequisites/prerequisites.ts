/** All items in the order of the guide's installer script: what is there, and with `install` what is missing is brought. */
import { AppError } from '../../../lib/errors/app-error.ts'
import { database } from './database.ts'
import { firewall } from './firewall.ts'
import { packagePrerequisites } from './packages.ts'
import type { Look, Prerequisite, PrerequisiteGround } from './prerequisite.ts'

export interface PrerequisiteRow {
  readonly id: string
  readonly title: string
  readonly state: Look['state'] | 'brought' | 'failed'
  readonly say: string
  readonly commands: readonly string[]
}

/** The certificate of the wizard is made where it is served: the command brings that item along. */
export const prerequisites: readonly Prerequisite[] = [...packagePrerequisites, database, firewall]

/** Later ones are looked at when the earlier ones are there: a database needs its server. One failing never stops another. */
export async function runPrerequisites(
  items: readonly Prerequisite[],
  ground: PrerequisiteGround,
  install: boolean,
  told: (row: PrerequisiteRow) => void = () => {}
): Promise<PrerequisiteRow[]> {
  const rows: PrerequisiteRow[] = []
  for (const item of items) {
    const row = { id: item.id, title: item.title, ...(await settle(item, ground, install)) }
    rows.push(row)
    told(row)
  }
  return rows
}

async function settle({ look }: Prerequisite, ground: PrerequisiteGround, install: boolean) {
  const { state, say, commands, bring } = await look(ground)
  if (!install || state !== 'missing' || bring === undefined) return { state, say, commands }
  try {
    await bring()
    const after = await look(ground)
    if (after.state === 'there') return { state: 'brought' as const, say: after.say, commands }
    return { state: 'failed' as const, say: `It is still not there: ${after.say}`, commands }
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown
    return { state: 'failed' as const, say: thrown.message, commands }
  }
}
