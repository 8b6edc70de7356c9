/** For tests: a PATH of our own, whose programs write down how they were called. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import { openCommands } from './commands.ts'
import type { PrerequisiteGround } from './prerequisite.ts'

export interface FakePath {
  readonly folder: string
  readonly ground: PrerequisiteGround
  /** A shell script by this name; `$log` writes a line, `$folder` is where all of them are. */
  readonly program: (name: string, script?: string) => void
  /** Calls that were written down since the last time, e.g. "apt-get update". */
  readonly called: () => string[]
}

/** With sh at hand, and nothing else. */
export function fakePath(over: Partial<PrerequisiteGround> = {}): FakePath {
  const root = mkdtempSync(join(tmpdir(), 'prerequisites-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  const folder = join(root, 'bin')
  mkdirSync(folder)
  const log = join(root, 'calls')
  writeFileSync(log, '')
  const program = (name: string, script = '') => {
    const head = `#!/bin/sh\nPATH=/usr/bin:/bin\nfolder=${folder}\nstate=${root}\necho "${name} $*" >> ${log}\n`
    writeFileSync(join(folder, name), `${head}${script}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return {
    folder,
    program,
    called: () => {
      const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean)
      writeFileSync(log, '')
      return lines
    },
    ground: {
      commands: openCommands(folder),
      names: null,
      isRoot: true,
      hasUnits: true,
      clockSynchronised: false,
      stateDir: join(root, 'keyscaler'),
      ports: [9444, 9446],
      keep: (path, content) => writePrivateFile(path, content),
      ...over
    }
  }
}
