/** A job that is followed on a console: for a person at a terminal, for a log, and for a program. */
import type { JobDocument, JobEvent } from '../install/jobs/job.ts'
import type { FollowedJob } from '../install/jobs/jobs.ts'
import type { StepId } from '../steps/step.ts'
import { liveList, pictureEveryMs } from './live-list.ts'
import type { Terminal } from './live-screen.ts'
import { duration, type Paper, type Task, type TaskList } from './task-list.ts'

type TitleOf = (step: StepId) => string

export interface JobTeller {
  /** Each event once, in its order. */
  readonly tell: (event: JobEvent, job: JobDocument) => void
  /** Called several times a second while nothing happens. */
  readonly wait: (job: JobDocument) => void
  readonly end: (job: JobDocument) => void
  /** A line that is not of the job. */
  readonly say: (line: string) => void
}

/** Tells everything until the job has ended. @returns how it ended */
export async function followJob(job: FollowedJob, teller: JobTeller): Promise<JobDocument> {
  let last = 0
  const read = () => {
    for (const event of job.events.after(last)) {
      last = event.n
      teller.tell(event, job.document())
    }
  }
  read()
  const stop = job.events.subscribe(read)
  const waiting = setInterval(() => teller.wait(job.document()), pictureEveryMs)
  try {
    await job.ended
  } finally {
    clearInterval(waiting)
    stop()
  }
  read()
  teller.end(job.document())
  return job.document()
}

/** Times of steps, which a job's document does not have. */
function stepTimes() {
  const begun = new Map<StepId, number>()
  const took = new Map<StepId, number>()
  return {
    take: (event: JobEvent) => {
      if (event.type !== 'step') return
      const at = Date.parse(event.at)
      if (event.state === 'begun') begun.set(event.step, at)
      else took.set(event.step, at - (begun.get(event.step) ?? at))
    },
    of: (step: StepId, now: number): number | null => {
      const from = begun.get(step)
      return took.get(step) ?? (from === undefined ? null : now - from)
    }
  }
}

function waitingOf({ waiting, endedAt }: JobDocument): TaskList['waiting'] {
  return waiting === null || endedAt !== null
    ? null
    : { what: waiting.what, ms: Date.now() - Date.parse(waiting.since) }
}

/** Drawn in place, several times a second. */
export function liveTeller(terminal: Terminal, titleOf: TitleOf, paper: Pick<Paper, 'colours' | 'signs'>): JobTeller {
  const list = liveList(terminal, paper)
  const times = stepTimes()
  const draw = (job: JobDocument) => {
    const now = job.endedAt === null ? Date.now() : Date.parse(job.endedAt)
    const stopped = job.state === 'cancelled' ? 'cancelled' : 'failed'
    const tasks = job.steps.map(({ id, state }): Task => {
      return { title: titleOf(id), state: state === 'failed' ? stopped : state, ms: times.of(id, now) }
    })
    const phase = job.phases.at(-1)
    const running = job.endedAt === null
    const shown = running && phase?.state === 'running' ? phase : undefined
    list.draw({
      tasks,
      phase: shown?.title ?? (running ? 'Checking' : null),
      waiting: waitingOf(job),
      log: shown?.log ?? [],
      foot: footOf(job)
    })
  }
  return {
    tell: (event, job) => {
      times.take(event)
      if (event.type !== 'log') draw(job)
    },
    wait: draw,
    end: draw,
    say: list.say
  }
}

function footOf({ state }: JobDocument): string | null {
  if (state === 'running') return 'Ctrl-C stops it at the next safe point.'
  return state === 'cancelling' ? 'Stopping at the next safe point. Ctrl-C once more ends at once.' : null
}

const stillEveryMs = 10_000

/** A line a step, a phase, and one each ten seconds for what is waited for. */
export function plainTeller(say: (line: string) => void, titleOf: TitleOf): JobTeller {
  const times = stepTimes()
  let nextAt = Date.now() + stillEveryMs
  return {
    tell: (event) => {
      times.take(event)
      nextAt = Date.now() + stillEveryMs
      if (event.type === 'phase') say(`  ${event.title}`)
      if (event.type === 'cancelling') say('  Stopping at the next safe point.')
      if (event.type !== 'step') return
      if (event.state === 'begun') say(`${titleOf(event.step)} …`)
      else say(`  ${event.step} done (${times.of(event.step, 0)} ms)`)
    },
    wait: (job) => {
      const waiting = waitingOf(job)
      if (waiting === null || Date.now() < nextAt) return
      nextAt = Date.now() + stillEveryMs
      say(`  waiting for ${waiting.what} since ${duration(waiting.ms)}`)
    },
    end: () => {},
    say
  }
}

/** Each event as it is, and of which job, a line of JSON. */
export function jsonTeller(write: (line: string) => void, say: (line: string) => void): JobTeller {
  return { tell: (event, { id }) => write(JSON.stringify({ job: id, ...event })), wait: () => {}, end: () => {}, say }
}

/** What a terminal can show: NO_COLOR (no-color.org), a dumb one nothing that is drawn in place. */
export function terminalOf(
  stream: NodeJS.WriteStream,
  environment: Readonly<Record<string, string | undefined>>
): Pick<Paper, 'colours' | 'signs'> | null {
  if (!stream.isTTY || environment.TERM === 'dumb') return null
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || ''
  return { colours: (environment.NO_COLOR ?? '') === '', signs: /utf-?8/i.test(locale) }
}

/** Why a job stopped, for a person: the phase, its last lines, what stands, and how to go on. */
export function stoppedText(job: JobDocument): readonly string[] {
  const phase = job.phases.findLast(({ state }) => state === 'failed' || state === 'cancelled')
  const where = phase === undefined ? [] : [`It stopped at: ${phase.title} (${duration(phase.ms)})`]
  const log = (phase?.log ?? []).map((line) => `  | ${line}`)
  const stands = job.stands.map(({ kind, name, state }) => `  ${state === 'done' ? 'done ' : 'begun'} ${kind} ${name}`)
  return [...where, ...log, ...(stands.length === 0 ? [] : ['What stands:', ...stands])]
}
