/** Asks a service whether it is ready. */
import { z } from 'zod'
import { messageOf } from '../../../lib/errors/app-error.ts'
import { askService, type Reach } from './service-request.ts'

export interface Readiness {
  readonly ready: boolean
  /** In plain words: what is missing. */
  readonly detail: string
}

const problemParts = z.object({ parts: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() })) })

/** Never throws; no answer in time is "not ready". */
export async function askReadiness(reach: Reach, path: string, deadlineMs: number): Promise<Readiness> {
  try {
    const { status, body } = await askService(reach, { method: 'GET', path, deadlineMs })
    if (status === 200) return { ready: true, detail: 'ready' }
    return { ready: false, detail: missingParts(status, body.toString()) }
  } catch (thrown) {
    return { ready: false, detail: messageOf(thrown) }
  }
}

function missingParts(status: number, body: string): string {
  try {
    const { parts } = problemParts.parse(JSON.parse(body))
    const wrong = Object.entries(parts).filter(([, part]) => !part.ok)
    return wrong.map(([name, part]) => `${name}: ${part.detail}`).join('; ') || `answered ${status}`
  } catch {
    return `answered ${status}`
  }
}
