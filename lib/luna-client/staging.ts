/** A private folder into which archives are unpacked first: whole and judged there, and only then put in place. */
import { chmod, lstat, mkdir, open, stat } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { type ArchiveMeter, pathInside, refused } from './archive-bounds.ts'

/** Contents in pieces, as they come. */
type Pieces = AsyncIterable<Uint8Array>

export class Staging {
  readonly folder: string
  readonly #meter: ArchiveMeter
  readonly #links = new Map<string, string>()

  /** @param folder empty, and nobody else's */
  constructor(folder: string, meter: ArchiveMeter) {
    this.folder = folder
    this.#meter = meter
  }

  /** Links that the archives hold, by path: each leads to another path in the folder. */
  get links(): ReadonlyMap<string, string> {
    return this.#links
  }

  /** @throws AppError invalid-input when the bounds are passed, or the name is used or leads out */
  async addFile(name: string, executable: boolean, pieces: Pieces): Promise<void> {
    this.#meter.entry()
    const path = join(this.folder, await this.#freePath(name))
    const file = await open(path, 'wx', 0o600)
    try {
      for await (const piece of pieces) {
        this.#meter.grew(piece.length)
        await file.write(piece)
      }
    } finally {
      await file.close()
    }
    if (executable) await chmod(path, 0o700)
  }

  async addFolder(name: string): Promise<void> {
    this.#meter.entry()
    await mkdir(join(this.folder, pathInside(name)), { recursive: true, mode: 0o700 })
  }

  /** Not made here, so that nothing can be written through it. @throws AppError invalid-input when it leads out */
  async addLink(name: string, target: string): Promise<void> {
    this.#meter.entry()
    const path = await this.#freePath(name)
    if (target.startsWith('/')) throw refused(`has a link that leads out of its folder (${JSON.stringify(path)})`)
    // From the link's own folder; what is left of `..` after that leads out, and pathInside refuses it.
    pathInside(posix.normalize(posix.join(posix.dirname(path), target)))
    this.#links.set(path, target)
  }

  async has(name: string): Promise<boolean> {
    return await stat(join(this.folder, name)).then(
      () => true,
      () => false
    )
  }

  async #freePath(name: string): Promise<string> {
    const path = pathInside(name)
    const taken = await lstat(join(this.folder, path)).catch(() => null)
    if (path === '' || taken !== null || this.#links.has(path)) {
      throw refused(`has the same name twice (${JSON.stringify(path)})`)
    }
    await mkdir(dirname(join(this.folder, path)), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
      throw refused(`has a file where a folder should be (${JSON.stringify(path)})`, cause)
    })
    return path
  }
}
