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
  /** Asks again and again, also while the wizard is only being started. */
  readonly untilDone: (step: StepId) => Promise<void>
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
      const headers = { ...json, ...bearer, accept: 'application/x-ndjson' }
      const body = JSON.stringify(answers[step])
      const lines = []
      try {
        const answer = await fetch(`${url}/setup/steps/${step}`, { method: 'POST', headers, body })
        if (answer.body === null) throw new Error(`${step}: ${answer.status} without a body`)
        for await (const text of createInterface({ input: Readable.fromWeb(answer.body) })) {
          const line = JSON.parse(text)
          lines.push(line)
          if (line.type === 'phase') phase(line.text)
          if (line.type === 'done') return 'done'
        }
      } catch (thrown) {
        // How fetch tells that the other side is gone.
        if (thrown instanceof TypeError) return 'cut'
        throw thrown
      }
      throw new Error(`${step} was refused: ${JSON.stringify(lines)}`)
    },
    untilDone: async (step) => {
      for (;;) {
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
