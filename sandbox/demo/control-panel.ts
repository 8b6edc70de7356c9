/** The Control Panel as a script uses it: JSON, a session cookie and its CSRF token. */
import { Agent, request } from 'node:https'
import { z } from 'zod'

export interface Panel {
  readonly address: string
  /** PEM of the internal CA. */
  readonly ca: Buffer
}

export interface PanelSession {
  readonly cookie: string
  readonly csrf: string
}

interface Answer {
  readonly status: number
  readonly cookie: string
  readonly body: unknown
}

/** @throws Error with the status when the login is refused */
export async function enterControlPanel(
  panel: Panel,
  credentials: { readonly email: string; readonly password: string }
): Promise<PanelSession> {
  const { status, cookie, body } = await post(panel, '/login', {}, credentials)
  if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`)
  return { cookie, csrf: z.object({ csrf: z.string() }).parse(body).csrf }
}

/** Answers the one-time enrolment secret. */
export async function registerDevice(panel: Panel, session: PanelSession, deviceName: string): Promise<string> {
  const headers = { cookie: session.cookie, 'x-csrf-token': session.csrf }
  const { status, body } = await post(panel, '/registrations', headers, { deviceName, hours: 1 })
  if (status !== 201) throw new Error(`registration: ${status} ${JSON.stringify(body)}`)
  return z.object({ secret: z.string() }).parse(body).secret
}

function post(panel: Panel, path: string, headers: Record<string, string>, body: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, panel.address),
      {
        method: 'POST',
        agent: new Agent({ ca: panel.ca }),
        headers: { ...headers, 'content-type': 'application/json', accept: 'application/json' },
        timeout: 20_000
      },
      async (response) => {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        const text = Buffer.concat(chunks).toString('utf8')
        const cookie = (response.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ')
        resolve({ status: response.statusCode ?? 0, cookie, body: JSON.parse(text) })
      }
    )
    sent.on('timeout', () => sent.destroy(new Error(`${path}: no answer within 20 s`)))
    sent.on('error', reject)
    sent.end(JSON.stringify(body))
  })
}
