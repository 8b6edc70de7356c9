import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import { proveToken } from '../../lib/keystore/prove-token.ts'
import { startPartitionUser } from '../../sandbox/luna/partition-user.ts'
import { freshState, readLunaState, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { changePassword, settlePending } from './change-password.ts'

const folder = mkdtempSync(join(tmpdir(), 'change-password-'))
after(() => rmSync(folder, { recursive: true }))

describe('changing the password of the key store', () => {
  let token: LunaToken
  let config: KeyStoreConfig
  let stateDir: string
  let states = 0
  let pin = 'crypto-officer-0'
  let numbers = 0
  const fresh = () => `crypto-officer-${++numbers}`
  const silent = () => {}

  const credential = (name: string) => join(stateDir, 'credentials', name)
  const kept = () => readFileSync(credential('kms-password'), 'utf8')
  const isPending = () => readdirSync(join(stateDir, 'credentials')).includes('kms-password-pending')
  const counted = async () => {
    const { logins, rejections } = await readLunaState(token.confPath)
    return { logins, rejections }
  }
  /** As `role changepw` would, by another program. */
  const setPin = async (to: string) => {
    const user = startPartitionUser(token)
    await user.ask({ do: 'start' })
    assert.deepEqual(await user.ask({ do: 'setPin', old: pin, pin: to }), { value: null })
    await user.kill()
    pin = to
    await setLunaState(token.confPath, { logins: 0 })
  }

  before(async () => {
    token = await createLunaToken(join(folder, 'luna'), { pin, soPin: 'partition-so-1' })
    const { module, confPath, slot, label } = token
    config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label }
  })
  beforeEach(async () => {
    await setLunaFaults(token.confPath, '')
    await setLunaState(token.confPath, freshState)
    stateDir = join(folder, `state-${++states}`)
    mkdirSync(join(stateDir, 'credentials'), { recursive: true, mode: 0o700 })
  })

  /** A process that is killed while C_SetPIN is on its way. */
  async function killedInTheChange(to: string): Promise<void> {
    await setLunaFaults(token.confPath, 'C_SetPIN=hang')
    const room = JSON.stringify(new URL('./change-password.ts', import.meta.url).href)
    const order = JSON.stringify({ stateDir, config, from: pin, to })
    const program = `import { changePassword } from ${room}
      await changePassword(${order}, (phase) => console.log(phase))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let said = ''
    for await (const chunk of child.stdout) {
      said += String(chunk)
      if (said.includes('C_SetPIN')) break
    }
    // The library hangs in it by now or does so soon; either way no answer comes.
    child.kill('SIGKILL')
    await once(child, 'exit')
    await setLunaFaults(token.confPath, '')
    await setLunaState(token.confPath, { logins: 0 })
  }

  it('leaves the new one in the credential file, for the owner alone, and nothing pending', async () => {
    const to = fresh()
    await changePassword({ stateDir, config, from: pin, to }, silent)
    pin = to
    assert.equal(kept(), pin)
    assert.equal(statSync(credential('kms-password')).mode & 0o777, 0o600)
    assert.equal(isPending(), false)
    assert.deepEqual(await counted(), { logins: 1, rejections: 0 })
    assert.equal((await proveToken(config, pin, openPinGuard(stateDir))).login?.ok, true)
  })

  it('leaves nothing behind when the present password is wrong', async () => {
    await assert.rejects(changePassword({ stateDir, config, from: 'not-the-password', to: fresh() }, silent), {
      code: 'pin-rejected'
    })
    assert.deepEqual(readdirSync(join(stateDir, 'credentials')), [])
    assert.deepEqual(await counted(), { logins: 1, rejections: 1 })
  })

  it('killed in between, before the token has it: the old one stands, found out by one login, once', async () => {
    await killedInTheChange(fresh())
    assert.equal(isPending(), true)
    assert.equal(await settlePending(stateDir), 'rejected')
    assert.deepEqual(await counted(), { logins: 1, rejections: 1 })
    assert.equal(isPending(), false)
    assert.equal(await settlePending(stateDir), null)
    assert.equal((await proveToken(config, pin, openPinGuard(stateDir))).login?.ok, true)
    assert.deepEqual(await counted(), { logins: 2, rejections: 1 })
  })

  it('killed in between, after the token has it: the new one is found out and kept, without a rejected login', async () => {
    const to = fresh()
    await killedInTheChange(to)
    await setPin(to)
    assert.equal(await settlePending(stateDir), 'new')
    assert.deepEqual([kept(), isPending()], [pin, false])
    assert.deepEqual(await counted(), { logins: 1, rejections: 0 })
  })

  it('needs no login where the password has been proved meanwhile', async () => {
    const to = fresh()
    await killedInTheChange(to)
    await proveToken(config, pin, openPinGuard(stateDir))
    assert.equal(await settlePending(stateDir), 'old')
    assert.deepEqual(await counted(), { logins: 1, rejections: 0 })
  })

  it('changes nothing when finding out about an earlier one has cost a rejected login already', async () => {
    await killedInTheChange(fresh())
    const thrown = await changePassword({ stateDir, config, from: pin, to: fresh() }, silent).catch(
      (error: unknown) => error
    )
    assert.ok(thrown instanceof AppError)
    assert.equal(thrown.code, 'pin-rejected')
    assert.match(thrown.message, /before it happened/)
    assert.deepEqual(await counted(), { logins: 1, rejections: 1 })
    const to = fresh()
    await changePassword({ stateDir, config, from: pin, to }, silent)
    pin = to
    assert.equal(kept(), pin)
    assert.equal((await counted()).rejections, 1)
  })

  it('keeps what is pending while the partition does not answer', async () => {
    const to = fresh()
    await killedInTheChange(to)
    await setLunaFaults(token.confPath, 'C_GetSlotList=0x30')
    assert.equal(await settlePending(stateDir), 'unknown')
    assert.equal(isPending(), true)
    await setLunaFaults(token.confPath, '')
    await setPin(to)
    assert.equal(await settlePending(stateDir), 'new')
  })
})
