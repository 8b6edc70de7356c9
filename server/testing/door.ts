/**
 * The wizard's door as the outside sees it, for tests: a script with a bearer token and a browser with a session.
 * Whatever comes out of it is kept, headers included, so that a test can look through all of it.
 */
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import type { Finding } from '../checks/check.ts'
import type { StepId } from '../steps/step.ts'

export interface Answer {
  /** "POST /setup/steps/kms (text/html)": what was asked. */
  readonly asked: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly ms: number
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Of the internal CA and a service's own certificate, for services. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
}

export interface Verdict {
  readonly status: number
  readonly findings: readonly Finding[]
  /** Messages by field. */
  readonly fields: Readonly<Record<string, string>>
  readonly text: string
  readonly ms: number
}

type Values = Readonly<Record<string, unknown>>

export interface Door {
  readonly url: string
  readonly answers: readonly Answer[]
  /** `path` may be a whole address (of a service). */
  readonly ask: (path: string, asked?: Asked) => Promise<Answer>
  /** Spends a one-time code: from here on `post`, `check` and `document` are this script's. */
  readonly enterAsScript: (code: string) => Promise<void>
  /** Spends a one-time code: from here on `page` and `send` are this browser's. */
  readonly enterAsBrowser: (code: string) => Promise<void>
  readonly secrets: () => { readonly bearer: string; readonly cookie: string }
  readonly post: (step: StepId, values: Values) => Promise<Verdict>
  readonly check: (step: StepId, values: Values) => Promise<Verdict>
  readonly document: (path: string) => Promise<Answer>
  readonly page: (path: string) => Promise<Answer>
  /** A form. */
  readonly send: (path: string, fields: Readonly<Record<string, string>>) => Promise<Answer>
}

/** Answered when the work has ended, as if it were no job. */
const prefer = 'wait=300'
const json = { accept: 'application/json', 'content-type': 'application/json', prefer }
const form = { 'content-type': 'application/x-www-form-urlencoded' }

export function openDoor(url: string): Door {
  const answers: Answer[] = []
  let bearer = ''
  let cookie = ''
  let csrf = ''
  const ask: Door['ask'] = async (path, asked = {}) => {
    const answer = await exchange(new URL(path, url), asked)
    answers.push(answer)
    return answer
  }
  const authorization = () => ({ authorization: `Bearer ${bearer}` })
  const submit = async (path: string, values: Values): Promise<Verdict> =>
    verdictOf(
      await ask(path, { method: 'POST', headers: { ...json, ...authorization() }, body: JSON.stringify(values) })
    )
  const page: Door['page'] = (path) => ask(path, { headers: { accept: 'text/html', cookie } })
  return {
    url,
    answers,
    ask,
    secrets: () => ({ bearer, cookie: cookie.slice(cookie.indexOf('=') + 1) }),
    enterAsScript: async (code) => {
      const answer = await ask('/setup/session', { method: 'POST', headers: json, body: JSON.stringify({ code }) })
      bearer = String(JSON.parse(answer.text).token)
    },
    enterAsBrowser: async (code) => {
      const body = new URLSearchParams({ code }).toString()
      const entered = await ask('/setup/code', {
        method: 'POST',
        headers: { ...form, accept: 'text/html', origin: url },
        body
      })
      cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
      const { text } = await page('/setup/steps/welcome')
      csrf = /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
    },
    post: (step, values) => submit(`/setup/steps/${step}`, values),
    check: (step, values) => submit(`/setup/steps/${step}/check`, values),
    document: (path) => ask(path, { headers: { accept: 'application/json', ...authorization() } }),
    page,
    send: (path, fields) => {
      const body = new URLSearchParams({ ...fields, _csrf: csrf }).toString()
      return ask(path, { method: 'POST', headers: { ...form, accept: 'text/html', prefer, cookie, origin: url }, body })
    }
  }
}

async function exchange(address: URL, { method = 'GET', headers = {}, body = '', tls = {} }: Asked): Promise<Answer> {
  const began = performance.now()
  const options = { method, headers, agent: false as const }
  const sent =
    address.protocol === 'https:' ? tlsRequest(address, { ...options, ...tls }) : plainRequest(address, options)
  sent.end(body)
  const [response] = await once(sent, 'response')
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += chunk
  const asked = `${method} ${address.pathname} (${headers.accept ?? 'anything'})`
  return { asked, status: response.statusCode ?? 0, headers: response.headers, text, ms: performance.now() - began }
}

function verdictOf({ status, text, ms }: Answer): Verdict {
  const { findings = [], errors = [] } = JSON.parse(text)
  const fields = (errors as { pointer: string; detail: string }[]).map(({ pointer, detail }) => [
    pointer.slice(1),
    detail
  ])
  return { status, findings, fields: Object.fromEntries(fields), text, ms }
}

/** The first finding that stands in the way. */
export function trouble({ findings }: Pick<Verdict, 'findings'>): Finding | undefined {
  return findings.find(({ verdict }) => verdict === 'fail' || verdict === 'warn')
}
