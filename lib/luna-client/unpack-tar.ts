/**
 * A tar as GNU tar and bsdtar write it (POSIX ustar, with GNU's long names and pax paths). Read here, in a page: the
 * libraries for it bring native code for another runtime, or unpack by themselves, which is what we must not let happen.
 */
import { pathInside, refused } from './archive-bounds.ts'
import type { Staging } from './staging.ts'

const block = 512
/** Of a long name or a pax header: far more than a path may have. */
const mostText = 64 * 1024

interface Header {
  readonly name: string
  readonly size: number
  readonly mode: number
  readonly type: string
  readonly link: string
}

/**
 * Unpacks a tar; what is in the staging folder already (from the zip around it) stays as it is.
 * @throws AppError invalid-input for what is not a plain tar, holds other things than files, folders and links inside, or passes the bounds
 */
export async function unpackTar(pieces: AsyncIterable<Uint8Array>, staging: Staging): Promise<void> {
  const tar = new Blocks(pieces)
  let longName: string | undefined
  let longLink: string | undefined
  const own = new Set<string>()
  for (;;) {
    const raw = await tar.read(block)
    // Two zero blocks end it; what follows is padding.
    if (raw.every((byte) => byte === 0)) return
    const header = parseHeader(raw)
    if ('LKxg'.includes(header.type)) {
      const text = await tar.text(header.size)
      if (header.type === 'L') longName = untilNul(text)
      if (header.type === 'K') longLink = untilNul(text)
      if (header.type === 'x') {
        longName = paxValue(text, 'path') ?? longName
        longLink = paxValue(text, 'linkpath') ?? longLink
      }
      continue
    }
    const name = longName ?? header.name
    const link = longLink ?? header.link
    longName = undefined
    longLink = undefined
    switch (header.type) {
      case '5':
        await staging.addFolder(name)
        break
      case '2':
        await staging.addLink(name, link)
        break
      case '0':
      case '\0':
        if (!own.has(pathInside(name)) && (await staging.has(pathInside(name)))) {
          for await (const _ of tar.content(header.size));
        } else {
          await staging.addFile(name, (header.mode & 0o111) !== 0, tar.content(header.size))
        }
        own.add(pathInside(name))
        break
      default:
        throw refused(`has an entry that is no file, folder or link (${JSON.stringify(name.slice(0, 80))})`)
    }
    await tar.skipPadding(header.size)
  }
}

function parseHeader(raw: Buffer): Header {
  const text = (from: number, length: number) => untilNul(raw.toString('utf8', from, from + length))
  const octal = (from: number, length: number): number => {
    const digits = text(from, length).trim()
    if (!/^[0-7]*$/.test(digits)) throw refused('is not a tar')
    return Number.parseInt(digits === '' ? '0' : digits, 8)
  }
  // The checksum counts its own field as blanks (POSIX.1-2024, pax, ustar interchange format).
  const sum = raw.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0)
  if (sum !== octal(148, 8)) throw refused('is not a tar, or is damaged')
  const prefix = text(257, 5) === 'ustar' && raw[263] === 0x30 ? text(345, 155) : ''
  return {
    name: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    mode: octal(100, 8),
    size: octal(124, 12),
    type: String.fromCharCode(raw[156] ?? 0),
    link: text(157, 100)
  }
}

/** "27 path=some/long/name\n", each with its own length in front. */
function paxValue(text: string, key: string): string | undefined {
  return new RegExp(`(?:^|\\n)\\d+ ${key}=([^\\n]*)\\n`).exec(text)?.[1]
}

function untilNul(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

/** Pieces of any size, read in sizes that are asked for. */
class Blocks {
  readonly #source: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#source = pieces[Symbol.asyncIterator]()
  }

  /** @throws AppError invalid-input when the archive ends before */
  async read(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for await (const piece of this.content(length)) parts.push(piece)
    return Buffer.concat(parts)
  }

  async text(length: number): Promise<string> {
    if (length > mostText) throw refused('has a name that is too long')
    const text = (await this.read(length)).toString('utf8')
    await this.skipPadding(length)
    return text
  }

  async *content(length: number): AsyncGenerator<Buffer> {
    let missing = length
    while (missing > 0) {
      if (this.#held.length === 0) await this.#more()
      const piece = this.#held.subarray(0, missing)
      this.#held = this.#held.subarray(piece.length)
      missing -= piece.length
      yield piece
    }
  }

  /** Contents fill whole blocks. */
  async skipPadding(length: number): Promise<void> {
    await this.read((block - (length % block)) % block)
  }

  async #more(): Promise<void> {
    const next = await this.#source.next()
    if (next.done === true) throw refused('ends too early')
    this.#held = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
  }
}
