/** Asks a service whether it is ready, over the TLS that its callers will meet. */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'
import { z } from 'zod'
import { messageOf } from '../../../lib/errors/app-error.ts'

/** The part of every service's configuration that says where it is and how it proves itself. */
const reachSchema = z.object({
  listen: z.object({ host: z.string(), port: z.int() }),
  address: z.url(),
  tls: z.object({ certificate: z.string() }),
  identity: z.object({ ca: z.string() })
})

export type Reach = z.infer<typeof reachSchema>

/** null: not the configuration of a service. */
export function reachOf(config: unknown): Reach | null {
  const parsed = reachSchema.safeParse(config)
  return parsed.success ? parsed.data : null
}

export interface Readiness {
  readonly ready: boolean
  /** In plain words: what is missing. */
  readonly detail: string
}

const problemParts = z.object({ parts: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() })) })

/**
 * One request to its own listener; the certificate must be good for the name in its address. A certificate that the
 * administrator gave is trusted as it stands in the file: whether the world trusts it was a check of its step.
 * Never throws; no answer in time is "not ready".
 */
export async function askReadiness(reach: Reach, path: string, deadlineMs: number): Promise<Readiness> {
  try {
    const [internal, served] = await Promise.all([
      readFile(reach.identity.ca, 'utf8'),
      readFile(reach.tls.certificate, 'utf8')
    ])
    const { status, body } = await get(reach, path, deadlineMs, [internal, served, ...rootCertificates])
    return status === 200 ? { ready: true, detail: 'ready' } : { ready: false, detail: missingParts(status, body) }
  } catch (thrown) {
    return { ready: false, detail: messageOf(thrown) }
  }
}

function get(reach: Reach, path: string, deadlineMs: number, ca: string[]): Promise<{ status: number; body: string }> {
  const named = new URL(reach.address).hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: localEnd(reach.listen.host),
        port: reach.listen.port,
        path,
        ca,
        allowPartialTrustChain: true,
        agent: false,
        headers: { host: new URL(reach.address).host },
        // For an IP address no server name is sent (RFC 6066 3); the certificate is compared with it all the same.
        servername: isIP(named) ? '' : named,
        signal: AbortSignal.timeout(deadlineMs)
      },
      (answer) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          if (body.length < 64_000) body += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }))
        answer.on('error', reject)
      }
    )
    asked.on('error', reject)
    asked.end()
  })
}

/** A service that listens on every interface is asked over loopback. */
function localEnd(listenHost: string): string {
  if (listenHost === '0.0.0.0') return '127.0.0.1'
  return listenHost === '::' ? '::1' : listenHost
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
