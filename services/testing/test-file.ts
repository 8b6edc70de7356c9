/** What a test file of the services has for itself: a folder, and what it opened, both gone with it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/** Folder of this test file, 0700. */
export const dir = mkdtempSync(join(tmpdir(), 'service-test-'))

const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
  rmSync(dir, { recursive: true, force: true })
})

/** Done when the test file ends, last one first. */
export function atEnd(end: () => unknown): void {
  ends.push(end)
}
