/**
 * What an administrator pastes from a terminal: lunacm's `slot list`, `partition showinfo`, or `vtl verify`, with prompts
 * and other lines around them. Text only, no judgement; nothing here talks to an HSM. All three were made to be read by
 * people, so keys are looked for by name and in any order (the forms of client 5 to 10 differ in both).
 */

export interface LunacmPartition {
  /** Null when the text does not tell it (some versions of showinfo). */
  readonly slot: number | null
  /** '' of a partition that is not initialised. */
  readonly label: string
  readonly serial: string
  readonly model: string | null
  /** Three numbers, as C_GetTokenInfo cannot say them: "7.1.3". */
  readonly firmware: string | null
  readonly manufacturer: string | null
  /** e.g. "L3 Device, Error querying state", which stands in the guide's good run, too. */
  readonly status: string | null
  /** e.g. "Net Token Slot", "HA Virtual Card Slot". */
  readonly description: string | null
  /** A virtual slot over several partitions. */
  readonly haGroup: boolean
  /** Names without CKF_; empty where the text has none. */
  readonly flags: readonly string[]
  readonly storage: LunacmStorage | null
  /** Null: the text does not tell. */
  readonly fips: boolean | null
}

/** Bytes, and a number of objects. */
interface LunacmStorage {
  readonly total: number | null
  readonly used: number | null
  readonly free: number | null
  readonly objects: number | null
}

export interface LunacmFacts {
  readonly kind: 'slot-list' | 'partition-showinfo' | 'vtl-verify'
  /** In the order of the text; empty when it says that there are none. */
  readonly partitions: readonly LunacmPartition[]
  /** The one that lunacm works with; null when the text does not tell. */
  readonly currentSlot: number | null
}

/** Far more than a hundred slots print. */
const mostText = 256 * 1024

type Field =
  | 'slot'
  | 'label'
  | 'serial'
  | 'model'
  | 'firmware'
  | 'manufacturer'
  | 'status'
  | 'description'
  | 'configuration'
  | 'total'
  | 'used'
  | 'free'
  | 'objects'
type Row = Partial<{ [F in Field]: string }> & { flags?: readonly string[]; fips?: boolean }

/** Keys without their "Partition ", "HSM " or "Token " in front (versions differ), in lower case. */
const fieldOf: Readonly<{ [key: string]: Field }> = {
  'slot id': 'slot',
  label: 'label',
  'serial number': 'serial',
  model: 'model',
  'firmware version': 'firmware',
  manufacturer: 'manufacturer',
  status: 'status',
  configuration: 'configuration',
  'slot description': 'description',
  'total storage space': 'total',
  'used storage space': 'used',
  'free storage space': 'free',
  'object count': 'objects'
}

/** Null when the text is none of the three. Never throws, whatever was pasted. */
export function readLunacm(text: string): LunacmFacts | null {
  if (text.length > mostText) return null
  const lines = text
    .replace(escapeSequence, '')
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .split('\n')
  if (/Slots\/Partitions/i.test(text)) {
    return { kind: 'vtl-verify', partitions: lines.flatMap(vtlRow), currentSlot: null }
  }
  const records = recordsIn(lines)
  const partitions = merged(records).flatMap(partitionFrom)
  if (partitions.length === 0) return null
  const current = /Current Slot Id:\s*(\d{1,10})/.exec(text)?.[1]
  return {
    kind: /^\s*Partition (Label|Serial Number|Model)\s*(->|→)/im.test(text) ? 'partition-showinfo' : 'slot-list',
    partitions,
    currentSlot: current === undefined ? null : Number(current)
  }
}

/** Colours of a terminal. Built, since an escape character may not stand in a regular expression. */
const escapeSequence = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*[A-Za-z]`, 'g')

/** "   0    534071053    partition6": the label is the rest of the line, and may hold blanks. */
function vtlRow(line: string): readonly LunacmPartition[] {
  const [, slot, serial, label] = /^[\s>|]*(\d{1,10})\s+(\d{6,20})(?:\s+(\S.*))?$/.exec(line.trimEnd()) ?? []
  return slot === undefined || serial === undefined ? [] : partitionFrom({ slot, serial, label: label ?? '' })
}

/** `Key -> value` and `Key: value` lines; a key that comes again begins the next partition. */
function recordsIn(lines: readonly string[]): readonly Row[] {
  const records: Row[] = []
  let current: Row = {}
  for (const line of lines) {
    const flag = /^\s*(?:Token Flags\s*(?:->|→))?\s*(?:CKF_)?(RNG|[A-Z0-9]+_[A-Z0-9_]+)\s*$/.exec(line)?.[1]
    if (flag !== undefined) current.flags = [...(current.flags ?? []), flag]
    const fips = /\b(NOT )?in FIPS\b.*\bmode\b/i.exec(line)
    if (fips !== null) current.fips = fips[1] === undefined
    const [, key = '', value = ''] =
      /^\s*(?:lunacm:>\s*)?([A-Za-z][A-Za-z ]*?)\s*(?:->|→|:)\s*(.*?)\s*$/.exec(line) ?? []
    const field = fieldOf[key.toLowerCase().replace(/^(partition|hsm|token) /, '')]
    if (field === undefined) continue
    if (current[field] !== undefined && field !== 'status') {
      records.push(current)
      current = {}
    }
    current[field] = value
  }
  return [...records, current]
}

/** A whole session shows one partition in the list and again by showinfo: what came later completes what came first. */
function merged(records: readonly Row[]): readonly Row[] {
  const bySerial = new Map<string, Row>()
  for (const record of records) {
    if (record.serial === undefined) continue
    const known = Object.fromEntries(Object.entries(record).filter(([, value]) => value !== ''))
    bySerial.set(record.serial, { ...bySerial.get(record.serial), ...known })
  }
  return [...bySerial.values()]
}

function partitionFrom(record: Row): readonly LunacmPartition[] {
  const { slot, serial, label = '', model, firmware, manufacturer, status, description, configuration } = record
  if (serial === undefined || !/^[0-9A-Za-z-]{1,32}$/.test(serial)) return []
  const sizes = [record.total, record.used, record.free, record.objects].map(count)
  const [total = null, used = null, free = null, objects = null] = sizes
  const virtual = [model, description, configuration, status].join(' ')
  return [
    {
      slot: count(slot),
      label: label.slice(0, 64),
      serial,
      model: model ?? null,
      firmware: firmware ?? null,
      manufacturer: manufacturer ?? null,
      status: status ?? null,
      description: description ?? null,
      haGroup: /LunaVirtual|Luna Virtual HSM|HA Virtual|HA Group/i.test(virtual),
      flags: record.flags ?? [],
      storage: sizes.every((size) => size === null) ? null : { total, used, free, objects },
      fips: record.fips ?? null
    }
  ]
}

function count(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
