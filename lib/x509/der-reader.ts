/**
 * Reading DER that strangers sent. Strict: definite and shortest lengths only (X.690 10.1), low tag numbers, nothing
 * after the last element. A second way to write the same thing is how parsers come to disagree.
 */
import { tags } from './der.ts'

/** What is wrong with the bytes; callers turn it into their own AppError. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** The element as it was sent, tag and length included. */
  readonly raw: Buffer
}

export class DerReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The next element, which must have this tag. @throws DerError */
  next(tag?: number): Element {
    const start = this.#offset
    const found = this.#octet()
    if ((found & 0x1f) === 0x1f) throw new DerError('a tag number is too high')
    if (tag !== undefined && found !== tag) {
      throw new DerError(`expected tag 0x${tag.toString(16)}, found 0x${found.toString(16)}`)
    }
    const length = this.#length()
    const from = this.#offset
    if (length > this.#bytes.length - from) throw new DerError('it is cut off')
    this.#offset = from + length
    return {
      tag: found,
      content: this.#bytes.subarray(from, from + length),
      raw: this.#bytes.subarray(start, from + length)
    }
  }

  /** The next element if it has this tag, else null and nothing is consumed. */
  optional(tag: number): Element | null {
    return this.#bytes[this.#offset] === tag ? this.next(tag) : null
  }

  /** The inside of the next element, which must have this tag. */
  enter(tag: number): DerReader {
    return new DerReader(this.next(tag).content)
  }

  /** @throws DerError when something is left. */
  end(): void {
    if (!this.done) throw new DerError('there is data after its end')
  }

  /** Runs `read` until nothing is left. */
  all<Item>(read: (reader: DerReader) => Item): Item[] {
    const items: Item[] = []
    while (!this.done) items.push(read(this))
    return items
  }

  #octet(): number {
    const octet = this.#bytes[this.#offset]
    if (octet === undefined) throw new DerError('it is cut off')
    this.#offset += 1
    return octet
  }

  #length(): number {
    const first = this.#octet()
    if (first < 0x80) return first
    const octets = first & 0x7f
    if (octets === 0 || octets > 3) throw new DerError('a length is indefinite or too long')
    let length = 0
    for (let i = 0; i < octets; i++) length = length * 256 + this.#octet()
    if (length < 0x80 || length < 256 ** (octets - 1)) throw new DerError('a length is not in its shortest form')
    return length
  }
}

/** The inside of `bytes`, which are one SEQUENCE and nothing after it. */
export function openSequence(bytes: Buffer): DerReader {
  const outer = new DerReader(bytes)
  const inside = outer.enter(tags.sequence)
  outer.end()
  return inside
}

/** A whole-octet BIT STRING's content. */
export function bitStringOctets(element: Element): Buffer {
  if (element.content[0] !== 0) throw new DerError('a bit string does not end on an octet')
  return element.content.subarray(1)
}

/** A positive INTEGER in its shortest form. */
export function positiveInteger(element: Element): bigint {
  const [first = 0x80, second = 0x80] = element.content
  if (first >= 0x80 || (first === 0 && second < 0x80)) throw new DerError('an integer is negative, zero or padded')
  return BigInt(`0x${element.content.toString('hex')}`)
}

/** A BOOLEAN: 00 or FF (X.690 11.1). */
export function boolean(element: Element): boolean {
  const [value] = element.content
  if (element.content.length !== 1 || (value !== 0 && value !== 0xff))
    throw new DerError('a boolean is neither 00 nor FF')
  return value === 0xff
}

/** Dotted decimal. */
export function dotted(element: Element): string {
  const arcs: number[] = []
  let arc = 0
  let start = true
  for (const octet of element.content) {
    if (start && octet === 0x80) throw new DerError('an object identifier is padded')
    arc = arc * 128 + (octet & 0x7f)
    if (!Number.isSafeInteger(arc)) throw new DerError('an object identifier is too long')
    start = octet < 0x80
    if (start) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [both] = arcs
  if (!start || both === undefined) throw new DerError('an object identifier is cut off')
  const root = Math.min(2, Math.floor(both / 40))
  return [root, both - root * 40, ...arcs.slice(1)].join('.')
}

/** A character string of the types that names and passwords use. */
export function text(element: Element): string {
  const { tag, content } = element
  if (tag === tags.printableString || tag === tags.ia5String) {
    if (content.some((octet) => octet > 0x7f)) throw new DerError('a text has characters outside ASCII')
    return content.toString('latin1')
  }
  const encoding = tag === tags.utf8String ? 'utf-8' : tag === tags.bmpString ? 'utf-16be' : null
  if (encoding === null) throw new DerError(`a text has the unsupported type 0x${tag.toString(16)}`)
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    throw new DerError(`a text is not valid ${encoding.toUpperCase()}`)
  }
}
