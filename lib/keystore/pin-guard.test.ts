import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { LoginOutcome } from './login-gate.ts'
import { openPinGuard, type PinGuard } from './pin-guard.ts'
import type { LoginPolicy } from './pin-rules.ts'
import { tokenFlags } from './token-facts.ts'

const serial = '1234567890123'
const well = tokenFlags(0x40c)
const countLow = tokenFlags(0x1040c)
const finalTry = tokenFlags(0x3040c)
const label = 'HSMoDnFIPS'
const luna: LoginPolicy = { locks: true, confirmed: false, label }
const confirmed = { locks: true, confirmed: true, label }
const named = { locks: true, confirmed: { label: 'HSMoDnFIPS ' }, label }
const software = { locks: false, confirmed: false, label }

let state: string
let guard: PinGuard
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'guard-'))
  guard = openPinGuard(state)
})
afterEach(() => rmSync(state, { recursive: true }))

/** One try: what the guard said, and (when it let the login through) that it ended in `outcome`. */
async function tryPin(pin: string, outcome: LoginOutcome, flags = well, policy = luna, by = guard): Promise<string> {
  const answer = await by.beforeLogin(serial, pin, flags, policy)
  if ('refusal' in answer) return answer.refusal.reason
  answer.attempt.settle(outcome)
  return 'sent'
}

describe('the PIN guard', () => {
  it('never sends a rejected PIN a second time, whoever asks', async () => {
    assert.equal(await tryPin('wrong', 'rejected'), 'sent')
    assert.equal(await tryPin('wrong', 'rejected'), 'same-pin-rejected-before')
    assert.equal(await tryPin('wrong', 'rejected', well, luna, openPinGuard(state)), 'same-pin-rejected-before')
    assert.equal(guard.known(serial).failures, 1)
  })

  it('remembers a rejected PIN over a login that worked', async () => {
    await tryPin('wrong', 'rejected')
    await tryPin('right', 'accepted')
    assert.deepEqual(guard.known(serial), { failures: 0, lastAt: null })
    assert.equal(await tryPin('wrong', 'rejected'), 'same-pin-rejected-before')
    assert.equal(await tryPin('right', 'accepted'), 'sent')
  })

  it('sends a rejected PIN again when a person has confirmed it', async () => {
    await tryPin('reset to this one', 'rejected')
    assert.equal(await tryPin('reset to this one', 'accepted', well, confirmed), 'sent')
    assert.equal(await tryPin('reset to this one', 'accepted'), 'sent')
  })

  it('stops after three failures with different PINs, and counts on when confirmed', async () => {
    for (const pin of ['one', 'two', 'three']) assert.equal(await tryPin(pin, 'rejected'), 'sent')
    assert.equal(await tryPin('four', 'rejected'), 'too-many')
    assert.equal(await tryPin('four', 'rejected', well, confirmed), 'sent')
    assert.equal(guard.known(serial).failures, 4)
    assert.ok(guard.known(serial).lastAt instanceof Date)
  })

  it('stops before a locked token and before its last try, confirmed or not', async () => {
    assert.equal(await tryPin('right', 'accepted', tokenFlags(0x4040c), confirmed), 'locked')
    assert.equal(await tryPin('right', 'accepted', finalTry, confirmed), 'final-try')
    assert.equal(await tryPin('right', 'accepted', tokenFlags(0x4040c), named), 'locked')
  })

  it('sends the last try when the label of the partition was typed, but no password that was rejected before', async () => {
    for (const typed of ['', 'hsmodnfips', 'another']) {
      assert.equal(await tryPin('right', 'accepted', finalTry, { ...luna, confirmed: { label: typed } }), 'final-try')
    }
    await tryPin('wrong', 'rejected')
    assert.equal(await tryPin('wrong', 'rejected', finalTry, named), 'same-pin-rejected-before')
    for (const pin of ['two', 'three']) await tryPin(pin, 'rejected')
    assert.equal(await tryPin('right', 'accepted', finalTry, named), 'sent')
    assert.equal(guard.known(serial).failures, 0)
    const both = { ...luna, confirmed: { label, again: true } }
    assert.equal(await tryPin('wrong', 'rejected', finalTry, both), 'sent')
  })

  it('says of a locked partition who can reset it, and when that is possible at all', async () => {
    const answer = await guard.beforeLogin(serial, 'right', tokenFlags(0x4040c), luna)
    assert.ok('refusal' in answer)
    assert.match(answer.refusal.cure, /Partition SO.*role resetpw.*policy 15 was on before.*otherwise/)
  })

  it('warns when the token counts failures that we do not know', async () => {
    const answer = await guard.beforeLogin(serial, 'right', countLow, luna)
    assert.ok('attempt' in answer)
    assert.equal(answer.attempt.countLow, true)
    answer.attempt.settle('accepted')
  })

  it('counts no failure when the token could not decide', async () => {
    for (let times = 0; times < 5; times++) assert.equal(await tryPin('right', 'undecided'), 'sent')
    assert.equal(guard.known(serial).failures, 0)
  })

  it('counts an answer that never came, and tries that PIN only once more', async () => {
    assert.equal(await tryPin('unknown', 'lost'), 'sent')
    assert.equal(guard.known(serial).failures, 1)
    assert.equal(await tryPin('unknown', 'lost'), 'sent')
    assert.equal(await tryPin('unknown', 'lost'), 'interrupted-before')
  })

  it('takes an answer that never came for a rejection when the token counts one', async () => {
    await tryPin('unknown', 'lost')
    assert.equal(await tryPin('unknown', 'lost', countLow), 'interrupted-before')
  })

  it('tells three logins that were never answered from three that were rejected', async () => {
    const say = async () => {
      const answer = await guard.beforeLogin(serial, 'right', well, luna)
      assert.ok('refusal' in answer)
      return `${answer.refusal.reason}: ${answer.refusal.say}`
    }
    await tryPin('right', 'accepted')
    for (let times = 0; times < 3; times++) assert.equal(await tryPin('right', 'lost'), 'sent')
    assert.match(
      await say(),
      /^interrupted-before: 3 logins were sent and never answered.*none is known to be rejected/
    )
    assert.equal(await tryPin('right', 'accepted', well, confirmed), 'sent')
    for (const outcome of ['lost', 'rejected', 'rejected'] as const) await tryPin(outcome + Math.random(), outcome)
    assert.match(await say(), /^too-many: 3 logins have failed.*: 2 rejected, 1 never answered\.$/)
  })

  it('knows both passwords of a change: the new one as accepted, the old one as wrong', async () => {
    await tryPin('new', 'rejected')
    const change = async (outcome: LoginOutcome) => {
      const answer = await guard.beforeLogin(serial, 'old', well, luna, 'new')
      assert.ok('attempt' in answer)
      answer.attempt.settle(outcome)
    }
    assert.equal(guard.verdictOn(serial, 'old'), null)
    await change('undecided')
    assert.deepEqual([guard.verdictOn(serial, 'old'), guard.verdictOn(serial, 'new')], [null, 'rejected'])
    await change('accepted')
    assert.deepEqual([guard.verdictOn(serial, 'old'), guard.verdictOn(serial, 'new')], ['rejected', 'accepted'])
    assert.equal(await tryPin('old', 'rejected'), 'same-pin-rejected-before')
    assert.deepEqual(guard.known(serial), { failures: 0, lastAt: null })
  })

  it('holds neither password for wrong when a change was never answered, and counts no failure', async () => {
    await tryPin('old', 'accepted')
    await tryPin('new', 'rejected')
    const answer = await guard.beforeLogin(serial, 'old', well, luna, 'new')
    assert.ok('attempt' in answer)
    answer.attempt.settle('lost')
    assert.deepEqual([guard.verdictOn(serial, 'old'), guard.verdictOn(serial, 'new')], [null, null])
    assert.equal(guard.known(serial).failures, 1)
    assert.equal(await tryPin('new', 'accepted'), 'sent')
    assert.equal(guard.verdictOn(serial, 'old'), 'another')
  })

  it('knows nothing of a password while it is being sent', async () => {
    await tryPin('new', 'rejected')
    const answer = await guard.beforeLogin(serial, 'old', well, luna, 'new')
    assert.ok('attempt' in answer)
    assert.deepEqual([guard.verdictOn(serial, 'old'), guard.verdictOn(serial, 'new')], [null, null])
    answer.attempt.settle('undecided')
  })

  it('keeps tokens apart', async () => {
    await tryPin('wrong', 'rejected')
    const answer = await guard.beforeLogin('another', 'wrong', well, luna)
    assert.ok('attempt' in answer)
    answer.attempt.settle('accepted')
    assert.equal(guard.known(serial).failures, 1)
    assert.equal(guard.known('another').failures, 0)
  })

  it('slows a store down that never locks', async () => {
    let now = 1_000_000
    const clocked = openPinGuard(state, { now: () => now })
    const attempt = (pin: string) => tryPin(pin, 'rejected', well, software, clocked)
    for (const pin of ['one', 'two', 'three']) assert.equal(await attempt(pin), 'sent')
    assert.equal(await attempt('four'), 'too-soon')
    now += 1_000
    assert.equal(await attempt('four'), 'sent')
    now += 1_000
    assert.equal(await attempt('five'), 'too-soon')
    now += 1_000
    assert.equal(await attempt('five'), 'sent')
  })

  it('forgets a store that was made anew', async () => {
    await tryPin('chosen', 'rejected')
    await guard.forget(serial)
    assert.equal(await tryPin('chosen', 'accepted'), 'sent')
  })

  it('keeps no PIN, in files that only the owner reads', async () => {
    await tryPin('a-very-secret-pin', 'rejected')
    const folder = join(state, 'pin-guard')
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    const names = readdirSync(folder)
    assert.equal(names.length, 2)
    for (const name of names) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
      assert.doesNotMatch(readFileSync(join(folder, name), 'latin1'), /a-very-secret-pin/)
    }
  })

  it('sends nothing when its record or its key is damaged or gone', async () => {
    await tryPin('wrong', 'rejected')
    const folder = join(state, 'pin-guard')
    const record = readdirSync(folder).find((name) => name.endsWith('.json')) ?? ''
    writeFileSync(join(folder, record), '{"version":1')
    await assert.rejects(tryPin('right', 'accepted'), { code: 'internal' })
    rmSync(join(folder, 'hmac.key'))
    assert.throws(() => openPinGuard(state), { code: 'internal' })
  })

  it('lets one login at a time through; the other waits, and is refused when it lasts', async () => {
    const first = await guard.beforeLogin(serial, 'right', well, luna)
    assert.ok('attempt' in first)
    const impatient = openPinGuard(state, { waitMs: 50 })
    assert.equal(await tryPin('right', 'accepted', well, luna, impatient), 'busy')
    const second = tryPin('right', 'accepted')
    first.attempt.settle('accepted')
    assert.equal(await second, 'sent')
  })
})

/** Another process with the same state directory; it prints a line for each login that the guard let through. */
function rival(body: string) {
  const guardFile = JSON.stringify(new URL('./pin-guard.ts', import.meta.url).href)
  const factsFile = JSON.stringify(new URL('./token-facts.ts', import.meta.url).href)
  const program = `
    import { openPinGuard } from ${guardFile}
    import { tokenFlags } from ${factsFile}
    const guard = openPinGuard(${JSON.stringify(state)})
    const ask = (pin) => guard.beforeLogin('${serial}', pin, tokenFlags(0x40c), { locks: true, confirmed: false, label: '' })
    ${body}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
  })
  return { child, ended: once(child, 'close').then(() => printed) }
}

const parallel = (pin: string): string => `
  await Promise.all(Array.from({ length: 25 }, async (_, index) => {
    const answer = await ask(${pin})
    if (!('attempt' in answer)) return
    console.log('login')
    answer.attempt.settle('rejected')
  }))`

describe('the PIN guard over several processes', () => {
  it('lets 100 parallel tries of one wrong PIN cost one login', async () => {
    const rivals = Array.from({ length: 4 }, () => rival(parallel(`'wrong'`)))
    const printed = await Promise.all(rivals.map(({ ended }) => ended))
    assert.equal(printed.join('').split('login').length - 1, 1)
  })

  it('lets 100 parallel tries of different wrong PINs cost three logins', async () => {
    const rivals = Array.from({ length: 4 }, () => rival(parallel('[process.pid, index].join()')))
    const printed = await Promise.all(rivals.map(({ ended }) => ended))
    assert.equal(printed.join('').split('login').length - 1, 3)
    assert.equal(guard.known(serial).failures, 3)
  })

  it('counts the login of a process that was killed before its answer, and takes over its lock', async () => {
    const { child, ended } = rival(`await ask('right'); console.log('sending'); setInterval(() => {}, 1000)`)
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await ended
    const answer = await guard.beforeLogin(serial, 'right', well, luna)
    assert.ok('attempt' in answer)
    assert.equal(guard.known(serial).failures, 1)
    answer.attempt.settle('accepted')
    assert.equal(guard.known(serial).failures, 0)
    assert.equal(readdirSync(join(state, 'pin-guard')).filter((name) => name.includes('lock')).length, 0)
  })
})
