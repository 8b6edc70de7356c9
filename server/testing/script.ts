/** The scripted door of a wizard that may be killed at any time: posts steps, reads their phases, asks for progress. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import type { StepId } from '../steps/step.ts'
import type { InstallWorld } from './world.ts'

export interface Standing {
  readonly id: StepId
  readonly state: string
  readonly pending: boolean
}

export interface Script {
  /**
   * @param phase told what is being done, as it is done
   * @returns `cut` when the wizard ended meanwhile
   * @throws Error with the wizard's words when it refused
   */
  readonly post: (step: StepId, phase?: (text: string) => void) => Promise<'done' | 'cut'>
  readonly progress: () => Promise<readonly Standing[]>
  /** Asks again and again, also while the wizard is only being started, until nobody wants to know any more. */
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

  const progress = async (): Promise<readonly Standing[]> => {
    const answer = await fetch(`${url}/setup/progress`, { headers: { ...json, ...bearer } })
    if (answer.status === 503) return [] // It listens, and is not there yet.
    if (!answer.ok) throw new Error(`progress: ${answer.status} ${await answer.text()}`)
    return ((await answer.json()) as { steps: readonly Standing[] }).steps
  }
  return {
    progress,
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
        const rows = await progress().catch((thrown) => {
          if (thrown instanceof TypeError) return []
          throw thrown
        })
        if (rows.find(({ id }) => id === step)?.state === 'done') return
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
