/**
 * Bad days through the door: whatever is wrong with a library, a token or a peer comes back as a finding with its cure
 * within its deadline, and meanwhile the wizard answers everybody else (security.md A13, F01).
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { readLunaState, setLunaFaults } from '../sandbox/luna/state.ts'
import { createLunaToken } from '../sandbox/luna/token.ts'
import { deadPort, drippingPeer, httpPeer, silentPeer, sshPeer } from './checks/testing.ts'
import type { StepId } from './steps/step.ts'
import { type Door, openDoor, trouble, type Verdict } from './testing/door.ts'
import { type Answers, type InstallWorld, openInstallWorld } from './testing/world.ts'

/** TCP peers and local libraries have 10 s; the rest is the way there and back on a busy machine. */
const verdictWithinMs = 13_000

let world: InstallWorld
let door: Door
const folder = mkdtempSync(join(tmpdir(), 'ks-bad-'))

before(async () => {
  world = await openInstallWorld()
  const line = await world.serve().said(/^Setup code:/)
  door = openDoor(world.url)
  await door.enterAsScript(line.slice('Setup code:'.length).trim())
  await done('welcome')
})
after(async () => {
  await world?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function done(...steps: readonly StepId[]): Promise<void> {
  for (const step of steps) {
    const { status, text } = await door.post(step, world.answers[step])
    assert.equal(status, 303, `${step}: ${text}`)
  }
}

/** Asks for pages as long as the work goes on. @returns its result, and the times of the pages in ms, sorted */
async function meanwhile<T>(work: Promise<T>, path: string): Promise<{ result: T; pages: readonly number[] }> {
  const pages: number[] = []
  let over = false
  const result = work.finally(() => {
    over = true
  })
  while (!over) {
    const { status, ms } = await door.document(path)
    assert.equal(status, 200)
    pages.push(ms)
    await Promise.race([pause(25), result.catch(() => {})])
  }
  return { result: await result, pages: pages.sort((a, b) => a - b) }
}

/** A page never waits for a peer: most come at once, and none takes as long as the silence of one. */
function assertResponsive(pages: readonly number[], what: string): void {
  const [median = Infinity, slowest = Infinity] = [pages[pages.length >> 1], pages.at(-1)]
  assert.ok(
    median < 500 && slowest < 3000,
    `${what}: ${pages.length} pages, median ${median} ms, slowest ${slowest} ms`
  )
}

function assertRefused(verdict: Verdict, what: string, say: RegExp): void {
  const finding = trouble(verdict)
  assert.equal(verdict.status, 422, `${what}: ${verdict.text}`)
  assert.equal(finding?.verdict, 'fail', what)
  assert.match(finding?.say ?? '', say, what)
  assert.ok((finding?.cure ?? '').length > 10, `${what} names no cure`)
  assert.ok(verdict.ms < verdictWithinMs, `${what} took ${Math.round(verdict.ms)} ms`)
}

/** Each is tested; all at once, since they have nothing to do with each other. */
async function testBadPeers(step: StepId, answersFor: (port: number) => Answers, cases: Record<string, RegExp>) {
  const ports: Record<string, number> = {
    dead: await deadPort(),
    silent: (await silentPeer()).port,
    dripping: (await drippingPeer()).port,
    ssh: (await sshPeer()).port,
    http: (await httpPeer()).port
  }
  const asked = Object.entries(cases).map(async ([peer, say]) => {
    const verdict = await door.check(step, { ...world.answers[step], ...answersFor(ports[peer] ?? 0) })
    assertRefused(verdict, `${step}, ${peer} peer`, say)
  })
  const { pages } = await meanwhile(Promise.all(asked), `/setup/steps/${step}`)
  assertResponsive(pages, step)
  // And the same at Next, which saves nothing.
  const posted = await door.post(step, { ...world.answers[step], ...answersFor(ports.dead ?? 0) })
  assertRefused(posted, `${step}, Next`, cases.dead ?? /./)
  const { revision } = JSON.parse((await door.document(`/setup/steps/${step}`)).text)
  assert.equal(revision, 0)
}

test('a database that is dead, silent or something else is named with its cure', async () => {
  await testBadPeers('database', (dbPort) => ({ dbPort }), {
    dead: /^Cannot reach 127\.0\.0\.1:\d+ \(connection refused\)/,
    silent: /^Cannot reach .* \(no answer\)/,
    dripping: /is not MySQL or MariaDB/,
    ssh: /is not MySQL or MariaDB/,
    // Both wait for the other's first word.
    http: /^Cannot reach .* \(no answer\)/
  })
  await done('database')
})

/** The answers of step 3 with another library, or another folder of Chrystoki.conf. */
const kms = (over: Answers): Answers => ({ ...world.answers.kms, ...over })

function badLibraries(): Readonly<Record<string, RegExp>> {
  const good = readFileSync(world.luna.module)
  const changed = (name: string, change: (elf: Buffer) => void) => {
    const elf = Buffer.from(good)
    change(elf)
    writeFileSync(join(folder, name), elf)
  }
  writeFileSync(join(folder, 'notes.txt'), 'The library will be delivered on Monday.\n')
  changed('arm.so', (elf) => elf.writeUInt16LE(0xb7, 18)) // e_machine: AArch64
  changed('short.so', (elf) => elf.writeUInt8(1, 4)) // EI_CLASS: 32 bit
  writeFileSync(join(folder, 'torn.so'), good.subarray(0, 5000))
  return {
    'missing.so': /no such file/,
    'notes.txt': /not a Linux library/,
    'arm.so': /another processor/,
    'short.so': /32-bit/,
    'torn.so': /could not be loaded/
  }
}

test('a library that is missing, is none, or is for another machine is named with its cure', async () => {
  for (const [name, say] of Object.entries(badLibraries())) {
    assertRefused(await door.check('kms', kms({ library: join(folder, name) })), name, say)
  }
})

/** A partition of its own with these faults, and a copy of the library: a library that hangs holds up only its own. */
async function faulty(name: string, faults: string): Promise<Answers> {
  const { pin } = world.luna
  const { confPath, module } = await createLunaToken(join(folder, name), { pin, soPin: pin })
  const library = join(folder, `${name}.so`)
  copyFileSync(module, library)
  await setLunaFaults(confPath, faults)
  return kms({ confPath, library })
}

test('a library that hangs or crashes is named with the call, and everybody else is answered meanwhile', async () => {
  const [hangs, crashes, crashesLate] = [
    await faulty('hangs', 'C_GetSlotList=hang'),
    await faulty('crashes', 'C_GetSlotList=crash'),
    await faulty('crashes-late', 'C_Login=crash')
  ]
  const began = performance.now()
  const all = Promise.all([
    door.check('kms', hangs).then((it) => assertRefused(it, 'hangs', /did not answer within 7 s while listing slots/)),
    door
      .check('kms', crashes)
      .then((it) => assertRefused(it, 'crashes', /crashed while listing slots \(C_GetSlotList/)),
    door.check('kms', crashesLate).then((it) => assertRefused(it, 'crashes late', /crashed while logging in \(C_Login/))
  ])
  const { pages } = await meanwhile(all, '/setup/steps/kms')
  assert.ok(performance.now() - began > 6_000, 'nothing hung')
  assertResponsive(pages, 'kms')
  // The page of this very step, which shows the partitions, waits for no library either.
  const [shown] = await Promise.all([
    door.ask('/setup/steps/kms', {
      headers: { accept: 'text/html', authorization: `Bearer ${door.secrets().bearer}` }
    }),
    door.check('kms', kms({ library: join(folder, 'missing.so') }))
  ])
  assert.equal(shown.status, 200)
  assert.ok(shown.ms < 3000, `${shown.ms} ms`)
  assert.deepEqual(
    world.processes().filter((line) => /-child\.ts/.test(line)),
    [],
    'probes were left behind'
  )
  // A login that was sent and never answered counts as one that failed: it is not sent again as if nothing had been.
  const again = await door.check('kms', crashesLate)
  assert.ok((await readLunaState(String(crashesLate.confPath))).logins <= 2)
  assert.equal(again.status, 422)
})

test('a token that nobody has initialised is named with the command that does it', async () => {
  const { pin } = world.luna
  const { confPath } = await createLunaToken(join(folder, 'fresh'), { pin, soPin: pin })
  for (const token of await readdir(join(confPath, 'tokens'))) {
    rmSync(join(confPath, 'tokens', token), { recursive: true })
  }
  const verdict = await door.check('kms', kms({ confPath }))
  assertRefused(verdict, 'fresh token', /^The partition in slot 3 is not initialised/)
  assert.match(trouble(verdict)?.cure ?? '', /par init -label/)
  assert.equal((await readLunaState(confPath)).logins, 0)
  await done('kms')
})

test('a cache that is dead, silent or something else is named with its cure', async () => {
  await testBadPeers('memcached', (port) => ({ servers: `127.0.0.1:${port}` }), {
    dead: /did not answer \(connection refused/,
    silent: /did not answer/,
    dripping: /did not answer/,
    ssh: /did not answer/,
    http: /did not answer/
  })
  await done('memcached', 'account', 'license')
})

test('a broker that is dead, silent or something else is named with its cure', async () => {
  await testBadPeers('kafka', (port) => ({ brokers: `127.0.0.1:${port}` }), {
    dead: /^Cannot reach 127\.0\.0\.1:\d+ \(connection refused\)/,
    silent: /^Cannot reach .* \(no answer\)/,
    dripping: /is not Kafka/,
    ssh: /is not Kafka/,
    http: /is not Kafka/
  })
  await done('kafka')
})
