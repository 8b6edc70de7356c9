/** Libraries that misbehave before any PKCS#11 function can be called; those that do later are in prove-token.test.ts. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { freshState, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { probeToken } from './probe.ts'
import type { Stopped } from './probe-messages.ts'

const folder = mkdtempSync(join(tmpdir(), 'evil-'))
after(() => rmSync(folder, { recursive: true }))

/** Compiles a library whose constructor does `what`. It writes its process number to `<name>.pid` first. */
function evilLibrary(name: string, what: string, rest = ''): string {
  const source = join(folder, `${name}.c`)
  writeFileSync(
    source,
    `#include <stdio.h>
     #include <stdlib.h>
     #include <signal.h>
     #include <unistd.h>
     ${rest}
     static void note(void) { FILE *f = fopen("${join(folder, name)}.pid", "w"); fprintf(f, "%d", getpid()); fclose(f); }
     __attribute__((constructor)) static void begin(void) { note(); ${what} }`
  )
  execFileSync('cc', ['-shared', '-fPIC', '-w', '-o', join(folder, `${name}.so`), source])
  return join(folder, `${name}.so`)
}

const pidOf = (name: string): number => Number(readFileSync(join(folder, `${name}.pid`), 'utf8'))
const lives = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

async function gone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 100 && lives(pid); tries++) await pause(20)
  return !lives(pid)
}

const probe = (module: string, deadlineMs = 2_000) =>
  probeToken({ profile: 'gemalto-safenet', module, slot: 3, partition: 'x' }, { deadlineMs })

describe('a library that misbehaves', { concurrency: 4 }, () => {
  const nullList = 'unsigned long C_GetFunctionList(void **list) { *list = 0; return 0; }'
  const constructors: readonly (readonly [string, string, string, Stopped])[] = [
    ['hangs', 'for (;;) pause();', '', { step: 'load', why: 'hung', ms: 3_000 }],
    ['spins', 'for (;;) ;', '', { step: 'load', why: 'hung', ms: 3_000 }],
    ['crashes', 'raise(SIGSEGV);', '', { step: 'load', why: 'crashed', signal: 'SIGSEGV' }],
    ['exits-well', '_exit(0);', '', { step: 'load', why: 'exited', exitCode: 0 }],
    ['has-no-functions', '', nullList, { step: 'initialize', why: 'crashed', signal: 'SIGSEGV' }]
  ]
  for (const [name, what, rest, expected] of constructors) {
    it(`is contained and named when it ${name.replaceAll('-', ' ')}`, async () => {
      // The step has half of it: beside the others, the child's own start takes up to a second.
      const { stopped } = await probe(evilLibrary(name, what, rest), 6_000)
      assert.deepEqual(stopped, expected)
      assert.equal(await gone(pidOf(name)), true)
    })
  }

  it('leaves no fork behind', async () => {
    const { stopped } = await probe(evilLibrary('forks', 'if (fork() == 0) note(); for (;;) pause();'))
    assert.equal(stopped?.why, 'hung')
    assert.equal(await gone(pidOf('forks')), true)
  })

  it('cannot answer in the place of the child by printing', async () => {
    const flood = `for (int i = 0; i < 200000; i++) { puts("{\\"kind\\":\\"end\\"}"); fputs("stderr\\n", stderr); } _exit(0);`
    const { stopped, lastWords } = await probe(evilLibrary('prints', flood), 5_000)
    assert.deepEqual(stopped, { step: 'load', why: 'exited', exitCode: 0 })
    assert.ok(lastWords.length <= 4_096)
  })

  it('that is no PKCS#11 library says so in the words of the loader', async () => {
    const { stopped } = await probe(evilLibrary('plain', ''))
    assert.equal(stopped?.why, 'refused')
    assert.deepEqual([stopped.step, stopped.failure.ckr], ['load', null])
  })

  it('that is cut short is contained', async () => {
    const path = evilLibrary('short', '')
    truncateSync(path, 6_000)
    const { stopped } = await probe(path)
    assert.equal(stopped?.step, 'load')
    assert.match(stopped.why, /crashed|refused/)
  })

  it('is not loaded at all when the file is wrong', async () => {
    const { file, times } = await probe(join(folder, 'absent.so'))
    assert.deepEqual([file.problem, times], ['missing', []])
  })

  it('is abandoned when nobody wants to know any more', async () => {
    const module = evilLibrary('unwanted', 'for (;;) pause();')
    const stop = new AbortController()
    const facts = probeToken(
      { profile: 'gemalto-safenet', module, slot: 3, partition: 'x' },
      { signal: stop.signal, onStep: (step) => step === 'load' && stop.abort() }
    )
    assert.deepEqual((await facts).stopped, { step: 'load', why: 'aborted' })
  })

  it('dies with the process that asked, even when that one is killed', async () => {
    const module = evilLibrary('orphan', 'for (;;) pause();')
    const config = JSON.stringify({ profile: 'gemalto-safenet', module, slot: 3, partition: 'x' })
    const program = `import { probeToken } from ${JSON.stringify(new URL('./probe.ts', import.meta.url).href)}
      await probeToken(${config})`
    const asker = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' })
    while (!existsSync(join(folder, 'orphan.pid')) || Number.isNaN(pidOf('orphan'))) await pause(20)
    asker.kill('SIGKILL')
    await once(asker, 'exit')
    assert.equal(await gone(pidOf('orphan')), true)
  })
})

describe('a library that misbehaves in a call', async () => {
  const lunaFolder = join(folder, 'luna')
  const token = await createLunaToken(lunaFolder, { pin: 'crypto-officer-1', soPin: 'partition-so-1' })
  const { module, confPath, slot, label: partition } = token
  const ask = async (faults: string) => {
    await setLunaState(lunaFolder, freshState)
    await setLunaFaults(lunaFolder, faults)
    return await probeToken({ profile: 'gemalto-safenet', module, confPath, slot, partition }, { deadlineMs: 1_000 })
  }
  const cases: readonly (readonly [string, string, string])[] = [
    ['C_Initialize=crash', 'initialize', 'crashed'],
    ['C_GetSlotList=hang', 'slots', 'hung'],
    ['C_GetTokenInfo=exit', 'slots', 'exited'],
    ['C_GetMechanismList=0x30', 'mechanisms', 'refused'],
    ['C_Finalize=hang', 'finalize', 'hung']
  ]
  for (const [faults, step, why] of cases) {
    it(`is named: ${faults}`, async () => {
      const { stopped, slots } = await ask(faults)
      assert.deepEqual([stopped?.step, stopped?.why], [step, why])
      assert.equal(slots.length, step === 'mechanisms' || step === 'finalize' ? 1 : 0)
    })
  }

  it('may print on stdout as much as it likes', async () => {
    assert.equal((await ask('*=print')).stopped, null)
  })

  it('leaves what Node compiled for the next child, which is ended by a signal too', async () => {
    const module = evilLibrary('kept', '')
    const config = JSON.stringify({ profile: 'gemalto-safenet', module, slot: 3, partition: 'x' })
    const program = `import { probeToken } from ${JSON.stringify(new URL('./probe.ts', import.meta.url).href)}
      await probeToken(${config})`
    const TMPDIR = join(folder, 'kept')
    mkdirSync(TMPDIR)
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { env: { TMPDIR } })
    const kept = readdirSync(join(TMPDIR, `keyscaler-compiled-${process.getuid?.()}`), { recursive: true })
    // The program and what it imports from this folder.
    assert.ok(kept.length > 10, kept.join())
  })
})
