/** Which user a server runs as: none of them wants to be root, and a plain user cannot become anyone else. */
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * @param user the Debian package's own user
 * @param dir the folder it must reach
 * @returns that user when we are root, it exists and can walk to the folder; undefined means: stay who we are
 */
export function serviceUser(user: string, dir: string): string | undefined {
  if (process.getuid?.() !== 0 || !exists(user)) return undefined
  for (let folder = dirname(dir); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return undefined
    if (folder === '/') return user
  }
}

function exists(user: string): boolean {
  return new RegExp(`^${user}:`, 'm').test(readFileSync('/etc/passwd', 'utf8'))
}
