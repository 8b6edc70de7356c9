/** Programs of this machine, found on a PATH that is given, run without a shell. */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface Ran {
  /** null: it could not be run, or was ended at the deadline. */
  readonly code: number | null
  readonly stdout: string
  /** The end of all that it said. */
  readonly words: string
}

export interface Commands {
  /** Full path; null: it is not here. */
  readonly find: (program: string) => Promise<string | null>
  /** Never throws. `input` goes to its stdin and is shown nowhere. */
  readonly run: (argv: readonly string[], input?: string) => Promise<Ran>
}

/** A package manager may have to wait for another one, and for a slow mirror. */
const deadlineMs = 15 * 60_000
const mostText = 4 * 1024 * 1024

/** @param path folders with a colon between them; those of the administrator's programs must be in it */
export function openCommands(path: string): Commands {
  const env = { PATH: path, LC_ALL: 'C', HOME: '/root', DEBIAN_FRONTEND: 'noninteractive' }
  const find = async (program: string) => {
    for (const folder of path.split(delimiter)) {
      const full = join(folder, program)
      const there = await access(full, constants.X_OK).then(
        () => true,
        () => false
      )
      if (there) return full
    }
    return null
  }
  return {
    find,
    run: async ([program = '', ...args], input = '') => {
      const full = await find(program)
      if (full === null) return { code: null, stdout: '', words: `${program} is not here` }
      return ran(full, args, env, input)
    }
  }
}

function ran(program: string, args: readonly string[], env: Record<string, string>, input: string): Promise<Ran> {
  const child = spawn(program, args, { env, cwd: '/', timeout: deadlineMs, stdio: ['pipe', 'pipe', 'pipe'] })
  return new Promise((resolve) => {
    let stdout = ''
    let words = ''
    const read = (piece: Buffer) => {
      words = `${words}${piece.toString('utf8')}`.slice(-2000)
    }
    child.stdout.on('data', (piece: Buffer) => {
      if (stdout.length < mostText) stdout += piece.toString('utf8')
      read(piece)
    })
    child.stderr.on('data', read)
    child.once('error', ({ message }) => resolve({ code: null, stdout: '', words: message }))
    child.once('close', (code) => resolve({ code, stdout, words: words.trim() }))
    // One that does not read what it is given says so by how it ends.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** As it would be typed. */
export function shellText(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}
