/** What is pasted from lunacm or vtl into step 3, as answers: the slot, the name and the serial of the partition. */
import { type LunacmPartition, readLunacm } from '../../../lib/luna-client/read-lunacm.ts'

export interface Pasted {
  /** What was read, or why nothing was. */
  readonly say: string
  readonly understood: boolean
  /** Answers by field; empty where there is none or more than one partition. */
  readonly fill: Readonly<Record<string, string>>
  /** To choose from, where there is more than one. */
  readonly choices: readonly PastedPartition[]
}

export interface PastedPartition {
  readonly title: string
  readonly about: string
  readonly fill: Readonly<Record<string, string>>
}

/** Text only: whether the partition is there is what Test finds out. The text itself is not kept. */
export function readPasted(text: string): Pasted {
  const facts = readLunacm(text)
  const nothing = { fill: {}, choices: [] }
  if (facts === null) {
    const say = 'This is not what slot list or par showinfo of lunacm, or vtl verify print. Paste their whole output.'
    return { ...nothing, understood: false, say }
  }
  const [first, ...others] = facts.partitions
  if (first === undefined) {
    const say = 'vtl verify shows no partition: this client is not registered, or none is assigned to it.'
    return { ...nothing, understood: false, say }
  }
  if (others.length === 0) {
    const { fill } = partitionOf(first)
    return { understood: true, say: saysFilled(first), fill, choices: [] }
  }
  const say = `${facts.partitions.length} partitions were read. Choose one.`
  return { understood: true, say, fill: {}, choices: facts.partitions.map(partitionOf) }
}

function partitionOf(partition: LunacmPartition): PastedPartition {
  const { slot, label, serial, model, firmware, haGroup } = partition
  return {
    title: [slot === null ? '' : `Slot ${slot}: `, label || 'no label'].join(''),
    about: [
      `Serial ${serial}`,
      model ?? '',
      firmware === null ? '' : `firmware ${firmware}`,
      haGroup ? 'virtual slot of an HA group' : ''
    ]
      .filter(Boolean)
      .join(' · '),
    fill: { ...(slot === null ? {} : { slot: String(slot) }), ...(label === '' ? {} : { partition: label }), serial }
  }
}

function saysFilled({ slot, label, serial }: LunacmPartition): string {
  const missing =
    label === ''
      ? ' It has no label yet: it is initialised with par init -label.'
      : slot === null
        ? ' The slot is not in it: slot list shows it.'
        : ''
  const read = [slot === null ? '' : `slot ${slot}`, label, `serial ${serial}`].filter(Boolean).join(', ')
  return `Filled in: ${read}.${missing}`
}
