/** When setup is finished there is nothing left of it, however the address is written. */
import { request } from 'node:http'
import { expect } from 'playwright/test'

const paths = [
  '/setup',
  '/setup/',
  '/setup/code',
  '/setup/session',
  '/setup/progress',
  '/setup/steps/welcome',
  '/setup/steps/kms',
  '/setup/steps/kms/check',
  '/%73etup',
  '/%73%65%74%75%70/steps/kms',
  '/setup%2Fsteps/kms',
  '/setup/steps%2fkms',
  '//setup/steps/kms',
  '/./setup/steps/kms',
  '/SETUP/steps/kms',
  '/setup/steps/kms?_=1',
  '/setup;/steps/kms'
]

/** Ways out of the folder of static files, which refuses them itself. */
const traversals = ['/public/../setup/steps/kms', '/public/%2e%2e/setup/steps/kms']

export async function expectSetupGone(url: string): Promise<void> {
  for (const path of paths) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE'] as const) {
      expect([404, 410], `${method} ${path}`).toContain(await ask(url, method, path))
    }
  }
  for (const path of traversals) expect([403, 404, 410], path).toContain(await ask(url, 'GET', path))
}

/** The path as it stands: a URL would tidy it. */
function ask(url: string, method: string, path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const body = method === 'GET' ? {} : { 'content-type': 'application/json', 'content-length': 2 }
    const headers = { accept: 'text/html', origin: url, ...body }
    const sent = request({ hostname, port, method, path, headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    sent.once('error', reject)
    sent.end(method === 'GET' ? undefined : '{}')
  })
}
