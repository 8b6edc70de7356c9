/** For the tests of this folder: asking the Control Panel as a script does, and as a browser with cookies and forms does. */
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import type { Identity } from '../testing/identities.ts'
import { administrator, type TestInstall } from './testing.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: () => Record<string, unknown>
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON, a URLSearchParams as a form. */
  readonly body?: URLSearchParams | object | string
  readonly as?: Identity
}

/** One request over TLS that trusts the internal CA only. */
export function ask({ address, ca }: TestInstall, path: string, asking: Asking = {}): Promise<Answer> {
  const { method = asking.body === undefined ? 'GET' : 'POST', as } = asking
  const [type, body] = encoded(asking.body)
  const headers = { ...(type === undefined ? {} : { 'content-type': type }), ...asking.headers }
  const pem = (file: string) => readFileSync(file, 'utf8')
  const identity = as === undefined ? {} : { cert: pem(as.certificate), key: pem(as.key) }
  // No name in TLS: Node would take it from a Host header.
  const tls = { ca: pem(ca), agent: false, servername: '', ...identity } as const
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, address), { method, headers, ...tls })
    sent.on('error', reject)
    sent.on('response', async (response) => {
      const text = Buffer.concat(await response.toArray()).toString()
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        json: () => JSON.parse(text)
      })
    })
    sent.end(body)
  })
}

function encoded(body: Asking['body']): [string | undefined, string | undefined] {
  if (body === undefined) return [undefined, undefined]
  if (typeof body === 'string') return ['text/plain', body]
  if (body instanceof URLSearchParams) return ['application/x-www-form-urlencoded', body.toString()]
  return ['application/json', JSON.stringify(body)]
}

/** A browser: keeps cookies, says where it comes from, and asks for pages. */
export interface Browser {
  readonly cookies: Map<string, string>
  readonly get: (path: string) => Promise<Answer>
  /** Posts the form of that page as it stands, with these values. */
  readonly submit: (page: Answer, action: string, values: Readonly<Record<string, string>>) => Promise<Answer>
  readonly post: (path: string, asking: Asking) => Promise<Answer>
}

export function browse(install: TestInstall): Browser {
  const cookies = new Map<string, string>()
  const go = async (path: string, { headers, ...asking }: Asking = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await ask(install, path, {
      ...asking,
      headers: { accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...headers }
    })
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    return answer
  }
  const post = (path: string, { headers, ...asking }: Asking) =>
    go(path, { method: 'POST', ...asking, headers: { origin: install.address, ...headers } })
  return {
    cookies,
    get: (path) => go(path),
    post,
    submit: (page, action, values) => {
      const form = new RegExp(`<form method="post" action="${action}"[\\s\\S]*?</form>`).exec(page.text)?.[0] ?? ''
      const token = /name="_csrf" value="([^"]+)"/.exec(form)?.[1] ?? ''
      if (token === '') throw new Error(`no form for ${action} in ${page.text}`)
      return post(action, { body: new URLSearchParams({ _csrf: token, ...values }) })
    }
  }
}

/** A browser that has logged in. */
export async function loggedIn(install: TestInstall, who = administrator): Promise<Browser> {
  const browser = browse(install)
  const entered = await browser.submit(await browser.get('/login'), '/login', who)
  if (entered.status !== 303) throw new Error(`login: ${entered.status} ${entered.text}`)
  return browser
}
