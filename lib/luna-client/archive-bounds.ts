/**
 * What an archive may hold. A client package is a few dozen files and some ten megabytes; the bounds are far above that,
 * and far below what fills a disk. An archive is refused whole, before anything of it is put in its place.
 */
import { AppError } from '../errors/app-error.ts'

export interface ArchiveBounds {
  readonly entries: number
  /** Of all files together, unpacked. */
  readonly bytes: number
  /** Unpacked to packed, once more than `freeBytes` are unpacked. */
  readonly ratio: number
  readonly freeBytes: number
}

export const clientBounds: ArchiveBounds = { entries: 5_000, bytes: 1024 ** 3, ratio: 100, freeBytes: 16 * 1024 ** 2 }

/** Counts while unpacking: sizes that an archive announces are not believed. */
export class ArchiveMeter {
  readonly #bounds: ArchiveBounds
  readonly #packed: number
  #entries = 0
  #bytes = 0

  /** @param packed size of the archive file */
  constructor(packed: number, bounds: ArchiveBounds = clientBounds) {
    this.#packed = packed
    this.#bounds = bounds
  }

  /** @throws AppError invalid-input */
  entry(): void {
    this.#entries += 1
    if (this.#entries > this.#bounds.entries) throw refused(`has more than ${this.#bounds.entries} entries`)
  }

  /** @throws AppError invalid-input */
  grew(bytes: number): void {
    this.#bytes += bytes
    const { bytes: most, ratio, freeBytes } = this.#bounds
    if (this.#bytes > most) throw refused(`unpacks to more than ${most} bytes`)
    if (this.#bytes > freeBytes && this.#bytes > ratio * this.#packed) {
      throw refused(`unpacks to more than ${ratio} times its size`)
    }
  }
}

/**
 * The name of an entry as a path inside a folder: relative, with `/`, without `.` and empty parts. '' for the folder itself.
 * @throws AppError invalid-input for a name that leads out, is absolute, or is none
 */
export function pathInside(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  const drive = /^[A-Za-z]:/.test(name)
  const strange = /[\p{Cc}\\]/u.test(name) || name.length > 1024 || parts.some((part) => part.length > 255)
  if (name.startsWith('/') || drive || strange || parts.includes('..')) {
    throw refused(`has an entry that does not stay in its folder (${JSON.stringify(name.slice(0, 80))})`)
  }
  return parts.join('/')
}

export function refused(why: string, cause?: unknown): AppError {
  return new AppError('invalid-input', `The archive ${why}; nothing was unpacked.`, {
    cure: 'Download the client again from Data Protection on Demand, and compare its size.',
    cause
  })
}
