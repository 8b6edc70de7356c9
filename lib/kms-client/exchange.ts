/** One request and its answer, under a deadline; a problem document (RFC 9457) comes back as the AppError that it was. */
import type { IncomingMessage } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import { z } from 'zod'
import { AppError, type ErrorCode, messageOf } from '../errors/app-error.ts'
import { codeOfProblem } from '../service/problems.ts'

export interface Exchange {
  readonly agent: Agent
  readonly base: URL
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  readonly deadlineMs: number
  /** Statuses besides 2xx whose body is the answer. */
  readonly accept?: readonly number[]
}

const maxAnswer = 4 * 1024 * 1024

const problem = z.object({
  type: z.string().default(''),
  detail: z.string().default(''),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  cure: z.string().optional()
})

/**
 * @returns the parsed JSON body
 * @throws AppError service-unavailable when there is no answer in time, else the code that the KMS answered
 */
export async function exchange(call: Exchange): Promise<unknown> {
  const { status, text } = await sent(call)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // Without the cause: a parser's message quotes what it read, and that may be a key.
    throw unavailable(call.base, `HTTP ${status} without JSON`)
  }
  if ((status >= 200 && status < 300) || call.accept?.includes(status)) return json
  throw problemOf(call, status, json)
}

interface Answer {
  readonly status: number
  readonly text: string
}

class StaleConnection extends AppError {}

async function sent(call: Exchange): Promise<Answer> {
  const started = performance.now()
  try {
    return await once(call, call.deadlineMs)
  } catch (thrown) {
    const left = call.deadlineMs - (performance.now() - started)
    if (!(thrown instanceof StaleConnection) || left <= 0) throw thrown
    // The KMS had closed an idle connection as we took it up: every call may be made again (keys are adopted by purpose).
    return once(call, left)
  }
}

function once({ agent, base, method, path, body }: Exchange, withinMs: number): Promise<Answer> {
  const payload = body === undefined ? '' : JSON.stringify(body)
  const headers = {
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) })
  }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(path, base), { agent, method, headers })
    const timer = setTimeout(() => {
      reject(unavailable(base, `no answer within ${Math.round(withinMs)} ms`))
      request.destroy()
    }, withinMs)
    request.on('response', (response) => {
      readBody(response)
        .then((text) => resolve({ status: response.statusCode ?? 0, text }))
        .catch((cause) => reject(unavailable(base, messageOf(cause), cause)))
        .finally(() => clearTimeout(timer))
    })
    request.on('error', (cause) => {
      clearTimeout(timer)
      const stale = request.reusedSocket && 'code' in cause && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')
      reject(unavailable(base, messageOf(cause), cause, stale ? StaleConnection : AppError))
    })
    request.end(payload)
  })
}

function problemOf({ base, method, path }: Exchange, status: number, json: unknown): AppError {
  const parsed = problem.safeParse(json)
  if (!parsed.success) return unavailable(base, `HTTP ${status} to ${method} ${path}`)
  const { type, detail, errors, cure } = parsed.data
  const code = codeOfProblem(type) ?? codeByStatus(status)
  return new AppError(code, detail === '' ? `The KMS answered HTTP ${status} to ${method} ${path}.` : detail, {
    ...(errors === undefined
      ? {}
      : { fields: Object.fromEntries(errors.map((error) => [error.pointer.replace(/^\//, ''), error.detail])) }),
    ...(cure === undefined ? {} : { cure })
  })
}

/** For answers that no service of ours made (a proxy in between), and Fastify's own 4xx. */
function codeByStatus(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'forbidden'
  if (status === 404) return 'not-found'
  if (status === 409) return 'conflict'
  return status >= 400 && status < 500 ? 'invalid-input' : 'service-unavailable'
}

function unavailable(base: URL, why: string, cause?: unknown, Kind: typeof AppError = AppError): AppError {
  return new Kind('service-unavailable', `The KMS at ${base.origin} does not answer: ${why}.`, {
    cure: 'Look at the status of the KMS and at its log.',
    cause
  })
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += chunk.length
    if (length > maxAnswer) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
