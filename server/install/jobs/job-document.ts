/** What a job is, from its events: each is taken in turn, and the document is drawn from what they come to. */
import type { JobBegun, JobDocument, JobEnd, JobEvent, JobPhase, JobState } from './job.ts'

const keptLines = 20

type Draft<T> = { -readonly [K in keyof T]: T[K] }
interface PhaseDraft extends Draft<Omit<JobPhase, 'log'>> {
  readonly log: string[]
}

export interface JobDraft {
  readonly take: (event: JobEvent) => void
  /**
   * @param alive false: nobody works at it any more, whatever its last event was
   * @param newest no other working job was begun after it, which may have finished what this one left
   */
  readonly document: (alive: boolean, newest: boolean) => JobDocument
}

export function draftOf(begun: JobBegun): JobDraft {
  const { startedAt } = begun
  const phases: PhaseDraft[] = []
  const steps = begun.steps.map((id): Draft<JobDocument['steps'][number]> => ({ id, state: 'waiting' }))
  const findings = new Map<string, JobDocument['findings'][number]>()
  const effects = new Map<string, JobDocument['stands'][number]>()
  const waiting = new Map<string, { what: string; since: string }>()
  /** Steps that something was done for: what is only checked is not begun. */
  const worked = new Set<string>()
  let cancelling = false
  let end: (JobEnd & { at: string }) | null = null
  let lastAt = startedAt

  const closePhase = (state: PhaseDraft['state'], at: string) => {
    const phase = phases.at(-1)
    if (phase === undefined || phase.state !== 'running') return
    phase.state = state
    phase.ms = between(phase.startedAt, at)
  }

  /** Of the step that it was at: what a check refuses has failed, and what somebody ends while it is checked was not begun. */
  const stateAfter = (step: string, end: JobEnd['state'] | 'interrupted') => {
    if (end === 'done') return 'done'
    return end === 'failed' || worked.has(step) ? 'failed' : 'waiting'
  }

  const take = (event: JobEvent) => {
    lastAt = event.at
    switch (event.type) {
      case 'step': {
        const row = steps.find(({ id }) => id === event.step)
        if (row !== undefined) row.state = event.state === 'done' ? 'done' : 'running'
        if (event.state === 'done') closePhase('done', event.at)
        return
      }
      case 'phase': {
        closePhase('done', event.at)
        waiting.clear()
        const { step, title, at } = event
        if (step !== null) worked.add(step)
        phases.push({ step, title, state: 'running', startedAt: at, ms: 0, log: [] })
        return
      }
      case 'log': {
        const log = phases.at(-1)?.log
        log?.push(event.line)
        if (log !== undefined && log.length > keptLines) log.shift()
        return
      }
      case 'finding':
        return void findings.set(event.finding.id, event.finding)
      case 'waiting':
        if (event.what === null) waiting.delete(event.id)
        else waiting.set(event.id, { what: event.what, since: event.since })
        return
      case 'effect': {
        const { kind, name, state } = event
        for (const row of steps) if (row.state === 'running') worked.add(row.id)
        return void effects.set(`${kind} ${name}`, { kind, name, state })
      }
      case 'cancelling':
        cancelling = true
        return
      case 'end': {
        closePhase(event.state, event.at)
        waiting.clear()
        for (const row of steps) if (row.state === 'running') row.state = stateAfter(row.id, event.state)
        end = event
      }
    }
  }

  const document = (alive: boolean, newest: boolean): JobDocument => {
    const state: JobState = end?.state ?? (alive ? (cancelling ? 'cancelling' : 'running') : 'interrupted')
    const running = end === null && alive
    const now = running ? new Date().toISOString() : (end?.at ?? lastAt)
    const { id, kind, step, title, actor, resumes } = begun
    return {
      ...{ id, kind, step, title, actor, state, startedAt },
      endedAt: running ? null : now,
      elapsedMs: between(startedAt, now),
      waiting: running ? longest([...waiting.values()]) : null,
      phases: phases.map((phase) => ({
        ...phase,
        ...(phase.state === 'running'
          ? { ms: between(phase.startedAt, now), state: running ? 'running' : 'failed' }
          : {}),
        log: [...phase.log]
      })),
      steps: steps.map((row) =>
        row.state === 'running' && !running ? { ...row, state: stateAfter(row.id, 'interrupted') } : { ...row }
      ),
      findings: [...findings.values()],
      problem: end?.problem ?? null,
      stands: running || state === 'done' ? [] : [...effects.values()],
      retryable: newest && end?.resumable === true,
      rest: end?.rest ?? null,
      resumes,
      next: end?.next ?? null,
      finished: end?.finished ?? false
    }
  }
  return { take, document }
}

function between(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from))
}

function longest(all: readonly { what: string; since: string }[]): JobDocument['waiting'] {
  return all.toSorted((one, other) => (one.since < other.since ? -1 : 1))[0] ?? null
}
