/** For tests: a real service of few lines, and a catalogue that runs it; everything in the test's own folder. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import type { ServiceEntry, ServiceName } from '../../../services/catalog.ts'

const program = `
import { readFileSync, readSync, appendFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { Socket } from 'node:net'
if (process.argv.includes('--standby') && readSync(0, Buffer.alloc(1)) === 0) process.exit(0)
const config = JSON.parse(readFileSync(process.argv[process.argv.indexOf('--config') + 1], 'utf8'))
appendFileSync(config.starts, Date.now() + ' ' + Object.keys(process.env).sort().join(',') + '\\n')
const say = (level, msg) => process.stdout.write(JSON.stringify({ level, msg }) + '\\n')
const mood = readFileSync(config.mood, 'utf8').trim()
const leave = (words) => {
  const [code, reason = null] = words.slice(5).split(' ')
  say('fatal', 'leaving as told')
  const note = { pid: process.pid, exitCode: Number(code), why: 'as told', reason, at: new Date().toISOString() }
  writeFileSync('ended.json', JSON.stringify(note), { mode: 0o600 })
  process.exit(Number(code))
}
if (mood.startsWith('exit')) leave(mood)
const lifeline = Number(process.env.KEYSCALER_LIFELINE_FD)
if (lifeline) new Socket({ fd: lifeline, readable: true }).on('close', () => process.exit(0)).resume()
process.on('SIGTERM', () => { if (mood !== 'deaf') process.exit(0) })
createServer({ cert: readFileSync(config.tls.certificate), key: readFileSync(config.tls.key) }, (request, response) => {
  const now = readFileSync(config.mood, 'utf8').trim()
  if (now.startsWith('then')) leave(now)
  const ready = now !== 'unready'
  response.writeHead(ready ? 200 : 503, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ ready, parts: { thing: { ok: ready, detail: 'the thing is missing' } } }))
}).listen(config.listen.port, config.listen.host, () => say('info', 'listening'))
`

export interface TinyWorld {
  readonly stateDir: string
  readonly root: string
  readonly entries: Readonly<Record<ServiceName, ServiceEntry>>
  readonly configOf: (name: ServiceName) => Promise<TinyConfig>
  /** ok | unready | deaf | exit N [reason] (read at start) | then N [reason] (ends like that at the next request). */
  readonly setMood: (name: ServiceName, mood: string) => Promise<void>
  /** When, and with which environment, it was started. */
  readonly starts: (name: ServiceName) => Promise<readonly { readonly at: number; readonly environment: string }[]>
}

interface TinyConfig {
  readonly listen: { readonly host: string; readonly port: number }
  readonly address: string
}

/** @param withinMs how long a service may take to be ready */
export async function tinyWorld(withinMs = 5000): Promise<TinyWorld> {
  const root = await mkdtemp(join(tmpdir(), 'keyscaler-target-'))
  const file = (name: string) => join(root, name)
  await writeFile(file('service.mjs'), program)
  await selfSigned(file('tls.crt'), file('tls.key'))
  const entry = (name: ServiceName, needs: readonly ServiceName[]): ServiceEntry => ({
    name,
    title: `Tiny ${name}`,
    needs,
    port: 1,
    program: 'service.mjs',
    config: async () => z.looseObject({ address: z.url() }),
    health: { path: '/readyz', withinMs }
  })
  const setMood = (name: ServiceName, mood: string) => writeFile(file(`${name}.mood`), mood)
  return {
    root,
    stateDir: file('state'),
    entries: {
      kms: entry('kms', []),
      dae: entry('dae', ['kms']),
      mqs: entry('mqs', ['kms']),
      cp: entry('cp', ['dae', 'mqs'])
    },
    setMood,
    configOf: async (name) => {
      const port = await freePort()
      await setMood(name, 'ok')
      return {
        listen: { host: '127.0.0.1', port },
        address: `https://localhost:${port}`,
        tls: { certificate: file('tls.crt'), key: file('tls.key') },
        identity: { certificate: file('tls.crt'), ca: file('tls.crt') },
        starts: file(`${name}.starts`),
        mood: file(`${name}.mood`)
      }
    },
    starts: async (name) => {
      const lines = (await readFile(file(`${name}.starts`), 'utf8').catch(() => '')).split('\n').filter(Boolean)
      return lines.map((line) => ({ at: Number(line.split(' ')[0]), environment: line.split(' ')[1] ?? '' }))
    }
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (bound === null || typeof bound === 'string') throw new Error('no port')
  return bound.port
}

async function selfSigned(certificate: string, key: string): Promise<void> {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const fresh = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  await promisify(execFile)('openssl', ['req', ...fresh, '-keyout', key, '-out', certificate, ...subject])
  await chmod(key, 0o600)
}
