/** Another of our services, called as `cp` by mutual TLS: its certificate must be the internal CA's, for that service. */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { z } from 'zod'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { codeOfProblem } from '../../lib/service/problems.ts'
import { secretFrom } from '../../lib/service/service.ts'
import { catalog, type ServiceName } from '../catalog.ts'

export interface Peer {
  readonly name: ServiceName
  readonly title: string
  readonly address: string
  /** @param accept statuses besides 2xx that are answers. @throws AppError service-unavailable, or what it answered */
  readonly get: (path: string, accept?: readonly number[]) => Promise<unknown>
  readonly post: (path: string, body: unknown) => Promise<unknown>
  readonly close: () => void
}

interface Identity {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** A service gives itself 4 s to say how it is. */
const deadlineMs = 5000
const longestAnswer = 1024 * 1024

const problem = z.object({
  type: z.string().default(''),
  detail: z.string().default(''),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).default([]),
  cure: z.string().optional()
})

/** Opens no connection yet. @throws when a file of the identity cannot be read */
export async function openPeer(name: ServiceName, address: string, identity: Identity): Promise<Peer> {
  const [cert, key, ca] = await Promise.all([
    readFile(identity.certificate, 'utf8'),
    secretFrom(identity.key),
    readFile(identity.ca, 'utf8')
  ])
  // A connection a call: pages call seldom, and an idle one may be closed under us.
  const agent = new Agent({
    keepAlive: false,
    maxCachedSessions: 0,
    cert,
    key,
    ca,
    minVersion: 'TLSv1.2',
    checkServerIdentity: (host, certificate) => refuseOther(name, host, certificate)
  })
  const { title } = catalog[name]
  const call = async (method: 'GET' | 'POST', path: string, body?: unknown, accept: readonly number[] = []) => {
    const { status, text } = await exchange(agent, new URL(path, address), method, body).catch((cause) => {
      throw silent(title, address, messageOf(cause), cause)
    })
    const json = parsed(text)
    if (json === undefined) throw silent(title, address, `HTTP ${status} without JSON`)
    if ((status >= 200 && status < 300) || accept.includes(status)) return json
    throw problemFrom(title, address, status, json)
  }
  return {
    name,
    title,
    address,
    get: (path, accept) => call('GET', path, undefined, accept),
    post: (path, body) => call('POST', path, body),
    close: () => agent.destroy()
  }
}

/** All services of a host may share its address: a certificate that names a service must name the one we mean. */
function refuseOther(name: ServiceName, host: string, certificate: PeerCertificate): Error | undefined {
  const roles = certificate.subjectaltname?.match(/urn:keyscaler:service:[a-z0-9-]*/g) ?? []
  const other = roles.find((role) => role !== `urn:keyscaler:service:${name}`)
  return checkServerIdentity(host, certificate) ?? (other === undefined ? undefined : new Error(`${host} is ${other}`))
}

function exchange(agent: Agent, url: URL, method: string, body: unknown): Promise<{ status: number; text: string }> {
  const payload = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    accept: 'application/json',
    ...(payload === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) })
  }
  const signal = AbortSignal.timeout(deadlineMs)
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const sent = request(url, { agent, method, headers, signal })
    sent.on('error', (cause) => reject(signal.aborted ? new Error(`no answer within ${deadlineMs} ms`) : cause))
    sent.on('response', (response) => {
      readBody(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject)
    })
    sent.end(payload)
  })
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += chunk.length
    if (length > longestAnswer) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Without the parser's message: it quotes what it read.
  }
}

/** A problem document as the error that it was; 401 is about our certificate, not about who is logged in. */
function problemFrom(title: string, address: string, status: number, json: unknown): AppError {
  const read = problem.safeParse(json)
  const code = read.success ? codeOfProblem(read.data.type) : null
  if (!read.success || code === null || code === 'unauthenticated') return silent(title, address, `HTTP ${status}`)
  const { detail, errors, cure } = read.data
  const fields = Object.fromEntries(errors.map((error) => [error.pointer.replace(/^\//, ''), error.detail]))
  return new AppError(code, detail, {
    ...(errors.length === 0 ? {} : { fields }),
    ...(cure === undefined ? {} : { cure })
  })
}

function silent(title: string, address: string, why: string, cause?: unknown): AppError {
  return new AppError('service-unavailable', `${title} at ${address} does not answer: ${why}.`, {
    cure: 'Look at its status and its log.',
    cause
  })
}
