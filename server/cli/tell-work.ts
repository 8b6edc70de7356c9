/**
 * Work that is no job (there is no install that could keep one: it is being taken away, or is not back yet), told on a
 * console as a job is: a list at a terminal, lines in a log, JSON for a program.
 */
import { say } from './console.ts'
import { liveList, pictureEveryMs } from './live-list.ts'
import type { Terminal } from './live-screen.ts'
import type { Paper, Task, TaskState } from './task-list.ts'
import { terminalOf } from './tell-job.ts'

export interface WorkTask {
  readonly id: string
  readonly title: string
}

export interface WorkTeller {
  /** This task begins, unless it has; the one before it is done. */
  readonly begin: (id: string, doing?: string) => void
  /** What the task does now. */
  readonly phase: (title: string) => void
  /** Something of it is done: a line for people, and what it is for programs. */
  readonly done: (line: string, what: object) => void
  /** A line that is not of the work. */
  readonly say: (line: string) => void
  /** Once, whatever came of it. */
  readonly end: (how: 'done' | 'failed') => void
}

/** @param tasks in their order @param foot what Ctrl-C comes to */
export function workTeller(output: 'text' | 'json', tasks: readonly WorkTask[], foot: string): WorkTeller {
  if (output === 'json') return jsonWork(tasks, (line) => process.stdout.write(`${line}\n`), say)
  const paper = terminalOf(process.stderr, process.env)
  return paper === null ? plainWork(tasks, say) : liveWork(tasks, process.stderr, paper, foot)
}

/** Tells the end of the work, too. @throws what the work throws */
export async function toldBy<T>(teller: WorkTeller, work: () => Promise<T>): Promise<T> {
  let how: 'done' | 'failed' = 'failed'
  try {
    const result = await work()
    how = 'done'
    return result
  } finally {
    teller.end(how)
  }
}

export function liveWork(
  tasks: readonly WorkTask[],
  terminal: Terminal,
  paper: Pick<Paper, 'colours' | 'signs'>,
  foot: string
): WorkTeller {
  const list = liveList(terminal, paper)
  const begun = new Map<string, number>()
  const over = new Map<string, { readonly state: TaskState; readonly at: number }>()
  let running: string | null = null
  let phase: string | null = null
  let log: string[] = []
  let ended = false

  const taskNow = ({ id, title }: WorkTask): Task => {
    const from = begun.get(id)
    const past = over.get(id)
    // At the end nothing is left to be done, also of what was not there to do.
    if (from === undefined) return { title, state: past?.state ?? 'waiting', ms: null }
    return { title, state: past?.state ?? 'running', ms: (past?.at ?? Date.now()) - from }
  }
  const draw = () => list.draw({ tasks: tasks.map(taskNow), phase, waiting: null, log, foot: ended ? null : foot })
  const close = (state: TaskState) => {
    if (running !== null) over.set(running, { state, at: Date.now() })
  }
  const drawing = setInterval(draw, pictureEveryMs)
  return {
    begin: (id, doing) => {
      if (id !== running) {
        close('done')
        begun.set(id, Date.now())
        over.delete(id)
        running = id
        log = []
      }
      phase = doing ?? null
      draw()
    },
    phase: (title) => {
      phase = title
      draw()
    },
    done: (line) => {
      log.push(line.trim())
      draw()
    },
    say: list.say,
    end: (how) => {
      clearInterval(drawing)
      close(how)
      if (how === 'done') {
        for (const { id } of tasks) if (!over.has(id)) over.set(id, { state: 'done', at: Date.now() })
        log = []
        phase = null
      }
      ended = true
      draw()
    }
  }
}

/** A line a task, a phase, and what is done. */
export function plainWork(tasks: readonly WorkTask[], tell: (line: string) => void): WorkTeller {
  let running: string | null = null
  return {
    begin: (id) => {
      if (id !== running) tell(`${titleIn(tasks, id)} …`)
      running = id
    },
    phase: (title) => tell(`  ${title}`),
    done: tell,
    say: tell,
    end: () => {}
  }
}

/** A line of JSON an event. */
export function jsonWork(
  tasks: readonly WorkTask[],
  write: (line: string) => void,
  tell: (line: string) => void
): WorkTeller {
  let running: string | null = null
  const event = (what: object) => write(JSON.stringify({ at: new Date().toISOString(), ...what }))
  return {
    begin: (id) => {
      if (id !== running) event({ type: 'task', task: id, title: titleIn(tasks, id) })
      running = id
    },
    phase: (title) => event({ type: 'phase', title }),
    done: (_, what) => event(what),
    say: tell,
    end: () => {}
  }
}

const titleIn = (tasks: readonly WorkTask[], id: string): string => tasks.find((task) => task.id === id)?.title ?? id
