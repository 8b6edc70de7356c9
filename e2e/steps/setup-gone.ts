/** When setup is finished there is nothing left of it, however the address is written. */
import { request } from 'node:http'

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
  '/setup;/steps/kms',
  // The folder of static files refuses these itself: with 403, and with 405 what would not read.
  '/public/../setup/steps/kms',
  '/public/%2e%2e/setup/steps/kms'
]

/** @returns what still answers, "GET /path 200" each; nothing when setup is gone */
export async function remainsOfSetup(url: string): Promise<string[]> {
  const asked = paths.flatMap((path) => ['GET', 'POST', 'PUT', 'DELETE'].map((method) => ({ method, path })))
  const remains: string[] = []
  for (const { method, path } of asked) {
    const status = await ask(url, method, path)
    const refused = path.startsWith('/public/') && (status === 403 || status === 405)
    const gone = status === 404 || status === 410 || refused
    if (!gone) remains.push(`${method} ${path} ${status}`)
  }
  return remains
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
