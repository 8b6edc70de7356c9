/** The scripted door of a wizard that may be killed at any time: posts steps, reads their phases, waits until they are done. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { StepId } from '../steps/step.ts'
import type { InstallWorld } from './world.ts'

export interface Script {
  /**
   * @param phase told what is being done, as it is done
   * @returns `cut` when the wizard ended meanwhile
   * @throws Error with the wizard's words when it refused
   */
  readonly post: (step: StepId, phase?: (text: string) => void) => Promise<'done' | 'cut'>
  /**
   * Until the step is done and the job that did it has ended: the next post would be told that it is under way. Asks again and
   * again, also while the wizard is only being started, until nobody wants to know any more.
   */
  readonly untilDone: (step: StepId, wanted: AbortSignal) => Promise<void>
}

const askEveryMs = 20

/** Spends the one-time code; the token is good for a restarted wizard too. */
export async function openScript({ url, stateDir, answers }: InstallWorld): Promise<Script> {
  const json = { 'content-type': 'application/json', accept: 'application/json' }
  const code = readFileSync(join(stateDir, 'setup-code'), 'utf8').trim()
  const entered = await fetch(`${url}/setup/session`, { method: 'POST', headers: json, body: JSON.stringify({ code }) })
  const { token } = (await entered.json()) as { token: string }
  const bearer = { authorization: `Bearer ${token}` }

  /** Null: it listens, and is not there yet. */
  const read = async <T>(path: string): Promise<T | null> => {
    const answer = await fetch(`${url}${path}`, { headers: { ...json, ...bearer } })
    if (answer.status === 503) return null
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
  const isOver = async (step: StepId): Promise<boolean> => {
    const progress = await read<{ steps: readonly { id: StepId; state: string }[] }>('/setup/progress')
    if (progress?.steps.find(({ id }) => id === step)?.state !== 'done') return false
    const all = await read<{ jobs: readonly { endedAt: string | null }[] }>('/setup/jobs')
    return all?.jobs.every(({ endedAt }) => endedAt !== null) === true
  }
  return {
    post: async (step, phase = () => {}) => {
      const headers = { ...json, ...bearer }
      const body = JSON.stringify(answers[step])
      try {
        const begun = await fetch(`${url}/setup/steps/${step}`, { method: 'POST', headers, body })
        if (begun.status !== 202) throw new Error(`${step} was refused: ${begun.status} ${await begun.text()}`)
        const end = await followed(`${url}${begun.headers.get('location')}/events`, bearer, phase)
        if (end === null) return 'cut'
        if (end.state !== 'done') throw new Error(`${step} ended badly: ${JSON.stringify(end)}`)
        return 'done'
      } catch (thrown) {
        // How fetch tells that the other side is gone.
        if (thrown instanceof TypeError) return 'cut'
        throw thrown
      }
    },
    untilDone: async (step, wanted) => {
      while (!wanted.aborted) {
        const over = await isOver(step).catch((thrown) => {
          if (thrown instanceof TypeError) return false
          throw thrown
        })
        if (over) return
        await pause(askEveryMs)
      }
    }
  }
}

interface JobEnded {
  readonly state: string
}

/** Reads a job's events until its end; null when the connection ends before. */
async function followed(
  address: string,
  headers: Readonly<Record<string, string>>,
  phase: (text: string) => void
): Promise<JobEnded | null> {
  const { body } = await fetch(address, { headers })
  if (body === null) return null
  for await (const line of createInterface({ input: Readable.fromWeb(body) })) {
    if (!line.startsWith('data: ')) continue
    const event = JSON.parse(line.slice('data: '.length))
    if (event.type === 'phase') phase(event.title)
    if (event.type === 'end') return event
  }
  return null
}
