/** One HTTPS request to a service of ours on this machine, over the TLS that its callers will meet. */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect, isIP } from 'node:net'
import { z } from 'zod'

// Not imported: an ES module import reads every export, and the list of roots is made then (4 ms).
const tls = process.getBuiltinModule('node:tls')

/** The part of every service's configuration that says where it is and how it proves itself. */
const reachSchema = z.object({
  listen: z.object({ host: z.string(), port: z.int() }),
  address: z.url(),
  tls: z.object({ certificate: z.string() }),
  identity: z.object({ certificate: z.string(), ca: z.string() })
})

export type Reach = z.infer<typeof reachSchema>

/** null: not the configuration of a service. */
export function reachOf(config: unknown): Reach | null {
  const parsed = reachSchema.safeParse(config)
  return parsed.success ? parsed.data : null
}

export interface ServiceRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Mutual TLS: PEM files. */
  readonly identity?: { readonly certificate: string; readonly key: string }
  readonly deadlineMs: number
}

export interface ServiceAnswer {
  readonly status: number
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

const mostBytes = 1_000_000

/**
 * Asks its own listener; the certificate must be good for the name in its address. A certificate that the administrator
 * gave is trusted as it stands in the file: whether the world trusts it was a check of its step.
 * @throws the error of the connection, also when there is no whole answer within `deadlineMs`
 */
export async function askService(reach: Reach, asked: ServiceRequest): Promise<ServiceAnswer> {
  const { identity } = asked
  const [internal, served, cert, key] = await Promise.all([
    readFile(reach.identity.ca, 'utf8'),
    readFile(reach.tls.certificate, 'utf8'),
    identity && readFile(identity.certificate, 'utf8'),
    identity && readFile(identity.key, 'utf8')
  ])
  const { hostname, host } = new URL(reach.address)
  const name = hostname.replace(/^\[|\]$/g, '')
  const body = asked.body === undefined ? undefined : JSON.stringify(asked.body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        method: asked.method,
        path: asked.path,
        host: localEnd(reach.listen.host),
        port: reach.listen.port,
        headers: { host, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        // Only a certificate that was given can lead to the roots; reading them costs more than all the rest.
        ca:
          reach.tls.certificate === reach.identity.certificate
            ? [internal]
            : [internal, served, ...tls.rootCertificates],
        allowPartialTrustChain: true,
        cert,
        key,
        // For an IP address no server name is sent (RFC 6066 3); the certificate is compared with it all the same.
        servername: isIP(name) ? '' : name,
        agent: false,
        signal: AbortSignal.timeout(asked.deadlineMs)
      },
      (incoming) => {
        const chunks: Buffer[] = []
        let size = 0
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > mostBytes) outgoing.destroy(new Error('the answer is too long'))
          else chunks.push(chunk)
        })
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks), headers: incoming.headers })
        )
        incoming.on('error', reject)
      }
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Does anything take connections there? Costs a hundredth of a request. Never throws. */
export function isListening({ listen }: Reach): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: localEnd(listen.host), port: listen.port })
    const settle = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.setTimeout(1000, () => settle(false))
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

/** A service that listens on every interface is asked over loopback. */
function localEnd(listenHost: string): string {
  if (listenHost === '0.0.0.0') return '127.0.0.1'
  return listenHost === '::' ? '::1' : listenHost
}
