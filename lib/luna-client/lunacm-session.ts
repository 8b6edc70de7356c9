/**
 * The guide's lunacm session that makes a partition ready (DPoD, items 7 to 15), with slot and label filled in. Printed,
 * never run: a Luna partition's domain is fixed at its first initialisation, and the Partition SO's password is not ours.
 */

export interface LunacmCommand {
  readonly command: string
  /** What it does, asks, and costs. */
  readonly why: string
  /** Of the guide's DPoD items. */
  readonly item: number
}

/** @param label 1 to 32 characters without ? and " (the caller has checked) */
export function lunacmSession(slot: number, label: string): readonly LunacmCommand[] {
  return [
    { item: 7, command: `slot set -slot ${slot}`, why: 'chooses the partition' },
    {
      item: 8,
      command: `par init -label ${/[^\w.-]/.test(label) ? `"${label}"` : label}`,
      why: 'asks for a new Partition SO password and a domain (or -defaultdomain; one is required). All contents of the partition will be destroyed: type proceed'
    },
    { item: 9, command: 'slot list', why: 'shows the label now' },
    { item: 10, command: 'role login -name Partition SO', why: 'asks for the password of item 8' },
    {
      item: 11,
      command: 'role init -name Crypto Officer',
      why: 'asks for an initial password, good for the first login only'
    },
    { item: 12, command: 'role logout', why: 'the Partition SO must log out before the Crypto Officer can log in' },
    { item: 13, command: 'role login -name Crypto Officer', why: 'asks for the initial password' },
    {
      item: 13,
      command: 'role changepw -name Crypto Officer',
      why: 'asks for the initial password and a new one: the new one is what step 3 takes. Without this: CKR_PIN_EXPIRED'
    },
    {
      item: 13,
      command: 'role init -name Crypto User',
      why: 'only the Crypto Officer can; KeyScaler does not need it'
    },
    { item: 13, command: 'role logout', why: 'ends the session' },
    { item: 14, command: 'slot list', why: 'shows slot and label, as step 3 takes them' },
    { item: 15, command: 'par showinfo', why: 'shows flags, storage and FIPS mode' }
  ]
}
