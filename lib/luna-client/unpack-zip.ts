import { crc32 } from 'node:zlib'
import { type Entry, openPromise } from 'yauzl'
import { refused } from './archive-bounds.ts'
import type { Staging } from './staging.ts'

const symbolicLink = 0o120000
const typeMask = 0o170000

/**
 * Unpacks a zip; entries that `skip` names are passed over.
 * @throws AppError invalid-input for what is not a whole, plain zip, or passes the bounds
 */
export async function unpackZip(file: string, staging: Staging, skip: (name: string) => boolean): Promise<void> {
  const zip = await openPromise(file, { strictFileNames: true, autoClose: false }).catch((cause: unknown) => {
    throw refused('is not a zip file', cause)
  })
  try {
    for await (const entry of zip.eachEntry()) {
      if (skip(entry.fileName)) continue
      if (entry.fileName.endsWith('/')) {
        await staging.addFolder(entry.fileName)
        continue
      }
      const mode = entry.externalFileAttributes >>> 16
      if ((mode & typeMask) === symbolicLink) throw refused(`has a link (${JSON.stringify(entry.fileName)})`)
      if (entry.isEncrypted()) throw refused('is encrypted')
      await staging.addFile(
        entry.fileName,
        (mode & 0o111) !== 0,
        checked(entry, await zip.openReadStreamPromise(entry))
      )
    }
  } catch (thrown) {
    throw thrown instanceof Error && thrown.name === 'AppError' ? thrown : refused('cannot be read to its end', thrown)
  } finally {
    zip.close()
  }
}

/** yauzl compares sizes, not checksums. */
async function* checked(entry: Entry, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let sum = 0
  for await (const piece of pieces) {
    sum = crc32(piece, sum)
    yield piece
  }
  if (sum !== entry.crc32) throw refused(`is damaged (${JSON.stringify(entry.fileName)})`)
}
