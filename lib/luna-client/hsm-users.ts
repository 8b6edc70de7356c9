/** The group `hsmusers`, whose members may read the Luna client's configuration (domain.md A2). */
import { readFile } from 'node:fs/promises'

export type HsmUserState =
  | 'no-group' // the Luna client was not installed by its package
  | 'root'
  | 'member'
  | 'not-in-effect' // a member by /etc/group, but this process began before: log in again
  | 'not-member'

export interface Accounts {
  readonly passwd: string
  readonly group: string
}

/**
 * Whether a user may read what is for `hsmusers`. Pure.
 * @param groups of this process, when it runs as that user; undefined for another user, who gets them at the next start
 */
export function hsmUserState({ passwd, group }: Accounts, uid: number, groups?: readonly number[]): HsmUserState {
  const [, gid, members = ''] = /^hsmusers:[^:]*:(\d+):(.*)$/m.exec(group) ?? []
  if (gid === undefined) return 'no-group'
  if (uid === 0) return 'root'
  const [, name, ownGroup] = new RegExp(`^([^:]+):[^:]*:${uid}:(\\d+):`, 'm').exec(passwd) ?? []
  const listed = ownGroup === gid || (name !== undefined && members.split(',').includes(name))
  if (groups?.includes(Number(gid)) === true) return 'member'
  if (!listed) return 'not-member'
  return groups === undefined ? 'member' : 'not-in-effect'
}

/** @param uid of the user that the services run as; this process's own by default */
export async function observeHsmUser(uid = process.getuid?.() ?? 0): Promise<HsmUserState> {
  const [passwd, group] = await Promise.all(
    ['/etc/passwd', '/etc/group'].map((path) => readFile(path, 'utf8').catch(() => ''))
  )
  const own = uid === process.getuid?.()
  return hsmUserState({ passwd: passwd ?? '', group: group ?? '' }, uid, own ? process.getgroups?.() : undefined)
}
