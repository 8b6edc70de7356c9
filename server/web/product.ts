/** What the footer says: Powered by (name, version, build). The build is the commit when it runs from a checkout. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Product } from './view-model.ts'

export const root = join(import.meta.dirname, '..', '..')

export const product: Product = {
  name: 'KeyScaler Setup',
  version: versionOf(),
  build: commitOf() ?? 'release',
  copyright: `© ${new Date().getFullYear()} The KeyScaler Setup developers`,
  vendor: { text: 'Device Authority', href: 'https://www.deviceauthority.com/' }
}

function versionOf(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '0'
}

/** Null outside a checkout. */
function commitOf(): string | null {
  const read = (path: string) => {
    try {
      return readFileSync(join(root, '.git', path), 'utf8').trim()
    } catch {
      return null
    }
  }
  const head = read('HEAD')
  const reference = head?.startsWith('ref: ') ? read(head.slice(5)) : head
  return reference?.slice(0, 7) ?? null
}
