/** `npm start` from outside. Its sample answers keep away from ports that are taken, so it looks at them: @fixed-ports. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from './ports.ts'
import { fromRoot } from './root.ts'

interface Started {
  readonly process: ChildProcess
  readonly pid: number
  readonly url: string
  readonly printed: () => string
  readonly exited: Promise<number | null>
}

/** Of all of them, one after the other: each finds what the one before has left, killed or not. */
const dir = mkdtempSync(join(tmpdir(), 'ks-'))
after(() => rmSync(dir, { recursive: true, force: true }))

/** `npm start` as a person runs it, without npm: the bootstrap, which starts the sandbox, which starts the wizard. */
async function start(...more: string[]): Promise<Started> {
  const port = await freePort()
  const child = spawn(
    process.execPath,
    [fromRoot('scripts/run.mjs'), 'start', '--state', dir, '--port', String(port), ...more],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, KEYSCALER_SANDBOX_KAFKA: 'mock' } }
  )
  let printed = ''
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      printed += chunk
      const found = /Setup wizard: (\S+)\s/.exec(printed)?.[1]
      if (found !== undefined) resolve(found)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    exited.then((code) => reject(new Error(`npm start ended with ${code}:\n${printed}`)))
  })
  after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
    await allGone(descendants(child.pid ?? 0))
  })
  return { process: child, pid: child.pid ?? 0, url, printed: () => printed, exited }
}

interface Running {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

function running(): Running[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const [state = 'Z', parent = '0'] =
          readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent), command }]
      } catch {
        return [] // It ended while we looked.
      }
    })
}

function descendants(pid: number): Running[] {
  const all = running()
  const below = (parent: number): Running[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)])
  return below(pid)
}

async function allGone(processes: readonly Running[]): Promise<void> {
  const left = (): Running[] =>
    running().filter((each) => processes.some((one) => one.pid === each.pid && one.command === each.command))
  const deadline = Date.now() + 25_000
  while (left().length > 0 && Date.now() < deadline) await pause(20)
  assert.deepEqual(left(), [])
}

test('npm start brings up servers and wizard, keeps every password to itself, and a SIGTERM stops them all', async () => {
  const started = await start()
  const below = descendants(started.pid)
  for (const program of ['mariadbd', 'memcached', 'kcat', 'server/cli.mjs']) {
    assert.ok(
      below.some((each) => each.command.includes(program)),
      `${program} runs`
    )
  }
  assert.equal((await fetch(started.url)).status, 200)

  const passwords = join(dir, 'passwords.txt')
  assert.equal(statSync(passwords).mode & 0o777, 0o600)
  assert.ok(started.printed().includes(passwords), 'it says where the passwords are')
  const secrets = [...readFileSync(passwords, 'utf8').matchAll(/: (\S+)$/gm)].map((match) => String(match[1]))
  assert.equal(secrets.length, 4)
  for (const secret of secrets) {
    assert.ok(!started.printed().includes(secret), 'no password is printed')
    assert.ok(!below.some((each) => each.command.includes(secret)), 'none is in a command line')
  }

  started.process.kill('SIGTERM')
  assert.equal(await started.exited, 0)
  await allGone(below)
})

for (const [who, find] of [
  ['the bootstrap', (started: Started) => started.pid],
  ['the sandbox', (started: Started) => pidOf(started, 'sandbox/main.ts')]
] as const) {
  test(`SIGKILL of ${who} leaves nothing behind`, async () => {
    const started = await start()
    const below = descendants(started.pid)
    assert.ok(below.length >= 5)
    process.kill(find(started), 'SIGKILL')
    await allGone(below)
  })
}

test('a second start in the same folder is refused by name, and the first goes on', async () => {
  const started = await start('--luna-shim', 'locked')
  assert.match(started.printed(), /^Partition scenario "locked": the Crypto Officer is locked/m)
  const second = spawn(process.execPath, [fromRoot('sandbox/main.ts'), 'start', '--state', dir], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  second.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  assert.equal(await new Promise((resolve) => second.once('close', resolve)), 1)
  assert.match(said, new RegExp(`in use by process ${pidOf(started, 'sandbox/main.ts')}`))
  assert.equal((await fetch(started.url)).status, 200)
})

test('--fresh does not wipe a folder that is not a sandbox', async () => {
  const other = mkdtempSync(join(tmpdir(), 'ks-'))
  after(() => rmSync(other, { recursive: true, force: true }))
  const precious = join(other, 'precious')
  writeFileSync(precious, 'x')
  const child = spawn(process.execPath, [fromRoot('sandbox/main.ts'), 'start', '--fresh', '--state', other], {
    stdio: 'ignore'
  })
  assert.equal(await new Promise((resolve) => child.once('close', resolve)), 1)
  assert.ok(existsSync(precious))
})

test('--luna-shim with a name that is none lists the scenarios, starts nothing, and ends with 2', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'ks-'))
  after(() => rmSync(empty, { recursive: true, force: true }))
  const child = spawn(
    process.execPath,
    [fromRoot('sandbox/main.ts'), 'start', '--luna-shim', 'sunny', '--state', empty],
    { stdio: ['ignore', 'ignore', 'pipe'] }
  )
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  assert.equal(await new Promise((resolve) => child.once('close', resolve)), 2)
  assert.match(said, /no scenario "sunny"/)
  for (const name of ['locked', 'expired', 'moved-slot', 'ha-group'])
    assert.match(said, new RegExp(`^ {2}${name} `, 'm'))
  assert.deepEqual(readdirSync(empty), [])
})

function pidOf(started: Started, program: string): number {
  const found = descendants(started.pid).find((each) => each.command.includes(program))
  assert.ok(found, `${program} runs`)
  return found.pid
}
