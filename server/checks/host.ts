/** This machine, by the kernel's and the distribution's own files; no command is run but timedatectl, with a deadline. */
import { execFile } from 'node:child_process'
import { access, readFile, statfs } from 'node:fs/promises'
import { arch, availableParallelism, release, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

export interface HostSeen {
  /** "Debian GNU/Linux 12 (bookworm)". */
  readonly system: string
  /** Id and version as in os-release: "debian", 12; 0 where there is no version. */
  readonly distribution: { readonly id: string; readonly like: readonly string[]; readonly version: number }
  readonly kernel: string
  /** As uname says it: "x86_64". */
  readonly machine: string
  readonly cores: number
  /** GiB. */
  readonly memory: number
  /** GB of the file system that holds the state folder; whole and free. */
  readonly disk: { readonly total: number; readonly free: number }
  /** null: not to be found out here. */
  readonly clockSynchronised: boolean | null
  /** Whether this user is in `hsmusers`, which may read the Luna client's configuration; null: there is no such group. */
  readonly hsmUser: boolean | null
}

export async function observeHost(stateDir: string): Promise<HostSeen> {
  const [said, disk, clockSynchronised, hsmUser] = await Promise.all([
    readOsRelease(),
    diskOf(stateDir),
    isClockSynchronised(),
    isHsmUser()
  ])
  return {
    system: nameOf(said),
    distribution: {
      id: said('ID'),
      like: said('ID_LIKE').split(' '),
      version: Number.parseFloat(said('VERSION_ID')) || 0
    },
    kernel: release(),
    machine: arch() === 'x64' ? 'x86_64' : arch(),
    cores: availableParallelism(),
    memory: totalmem() / 2 ** 30,
    disk,
    clockSynchronised,
    hsmUser
  }
}

/** "Debian GNU/Linux 12 (bookworm)", alone and at once. */
export async function systemName(): Promise<string> {
  return nameOf(await readOsRelease())
}

type OsRelease = (key: string) => string

const nameOf = (said: OsRelease): string => said('PRETTY_NAME') || 'unknown'

async function readOsRelease(): Promise<OsRelease> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return (key) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
}

/** Of the nearest folder above that is there already. */
async function diskOf(folder: string): Promise<HostSeen['disk']> {
  try {
    const { bsize, blocks, bavail } = await statfs(folder)
    return { total: (bsize * blocks) / 1e9, free: (bsize * bavail) / 1e9 }
  } catch (thrown) {
    const parent = dirname(folder)
    if (parent === folder) throw thrown
    return diskOf(parent)
  }
}

/** systemd-timesyncd leaves a file; chrony and ntpd tell the kernel, which timedatectl asks. */
async function isClockSynchronised(): Promise<boolean | null> {
  const left = await access('/run/systemd/timesync/synchronized').then(
    () => true,
    () => false
  )
  if (left) return true
  try {
    const { stdout } = await promisify(execFile)('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
      timeout: 2000
    })
    return stdout.trim() === 'yes'
  } catch {
    return null
  }
}

async function isHsmUser(): Promise<boolean | null> {
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const id = /^hsmusers:[^:]*:(\d+):/m.exec(groups)?.[1]
  if (id === undefined) return null
  return process.getuid?.() === 0 || (process.getgroups?.() ?? []).includes(Number(id))
}
