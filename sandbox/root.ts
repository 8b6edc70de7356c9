import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

/** An absolute path inside the checkout. */
export function fromRoot(path: string): string {
  return join(root, path)
}
