/**
 * `jobs/<id>.ndjson`: what a job was and what happened in it, a line each as it happens, so that it can be looked at after a
 * restart. Nothing depends on it: a disk that is full costs lines, never the job, and it is not forced to the disk. A kill
 * may cut the last line off, and a full disk one in the middle: a line that cannot be read is left out.
 */
import { constants, readdirSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { stepIds } from '../../steps/step.ts'
import type { JobBegun, JobEvent } from './job.ts'

/** How many journals there are at most, those of jobs that run and of the last that worked apart. */
export const keptJobs = 32
const mostBytes = 256 * 1024
const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW

const begunLine = z.object({
  id: z.string(),
  kind: z.enum(['submit', 'check', 'change-password', 'apply', 'resume']),
  step: z.enum(stepIds).nullable(),
  title: z.string(),
  actor: z.string(),
  startedAt: z.string(),
  steps: z.array(z.enum(stepIds)),
  resumes: z.string().nullable()
})
const eventTypes = ['step', 'phase', 'log', 'finding', 'waiting', 'effect', 'cancelling', 'end']

export interface Journal {
  readonly write: (event: JobEvent) => void
  /** Done when everything so far is written, or could not be. */
  readonly written: () => Promise<void>
}

export interface JournalFolder {
  /** @param keeps ids whose journals stay, however old they are */
  readonly begin: (begun: JobBegun, keeps: () => Promise<ReadonlySet<string>>) => Journal
  /** The id that sorts last; null: there is none. At once, as a job has its id at once. */
  readonly newest: () => string | null
  /** Every job that can be read, the oldest first. */
  readonly read: () => Promise<readonly KeptJob[]>
}

export interface KeptJob {
  readonly begun: JobBegun
  readonly events: readonly JobEvent[]
}

/** @param failed told of each job once, when a line of it could not be written */
export function openJournals(stateDir: string, failed: (thrown: unknown) => void): JournalFolder {
  const folder = join(stateDir, 'jobs')

  const makeRoom = async (keeps: () => Promise<ReadonlySet<string>>) => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const names = (await readdir(folder)).filter(isJournal).sort()
    const old = names.slice(0, Math.max(0, names.length - keptJobs + 1))
    const kept = old.length === 0 ? new Set() : await keeps()
    for (const name of old) if (!kept.has(idOf(name))) await rm(join(folder, name), { force: true })
  }

  return {
    begin: (begun, keeps) => {
      const path = join(folder, `${begun.id}.ndjson`)
      const head = `${JSON.stringify(begun)}\n`
      let headed = false
      let pending = ''
      let bytes = 0
      let told = false
      let torn = false
      let over = false
      let file: FileHandle | null = null
      let writing: Promise<void> | null = null
      const close = async () => {
        await file?.close().catch(failed)
        file = null
      }
      const writeAll = async () => {
        while (pending !== '' || !headed) {
          // What was written of one that failed is no line: the next one begins on its own.
          const text = `${torn ? '\n' : ''}${headed ? '' : head}${pending}`
          pending = ''
          try {
            file ??= await open(path, flags, 0o600)
            await file.appendFile(text)
            torn = false
            headed = true
          } catch (thrown) {
            if (!told) failed(thrown)
            told = torn = true
            await close()
            // Tried again with what comes next, if it has not come meanwhile: the end may be all that was still to come.
            if (pending === '') break
          }
        }
        if (over) await close()
        writing = null
      }
      writing = makeRoom(keeps).catch(failed).then(writeAll)
      return {
        write: (event) => {
          const line = `${JSON.stringify(event)}\n`
          bytes += line.length
          if (bytes > mostBytes && event.type === 'log') return
          pending += line
          over = event.type === 'end'
          writing ??= writeAll()
        },
        written: async () => {
          while (writing !== null) await writing
        }
      }
    },
    newest: () => {
      const name = namesIn(folder).filter(isJournal).sort().at(-1)
      return name === undefined ? null : idOf(name)
    },
    read: async () => {
      const names = (await readdir(folder).catch(() => [])).filter(isJournal).sort()
      const all = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')))
      return all.flatMap((text) => keptJob(text) ?? [])
    }
  }
}

const isJournal = (name: string) => name.endsWith('.ndjson')
const idOf = (name: string) => name.slice(0, -'.ndjson'.length)

/** None where it cannot be read: a journal costs nobody a job. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function keptJob(text: string): KeptJob | null {
  const lines = text.split('\n').map(parsed)
  const begun = lines.flatMap((line) => begunLine.safeParse(line).data ?? [])[0]
  return begun === undefined ? null : { begun, events: lines.filter(isEvent) }
}

/** Our own lines, whole or not at all: what they are is known from their type. */
function isEvent(line: unknown): line is JobEvent {
  if (typeof line !== 'object' || line === null || !('n' in line) || !('at' in line) || !('type' in line)) return false
  return typeof line.n === 'number' && typeof line.at === 'string' && eventTypes.includes(String(line.type))
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
