import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import pkcs11 from 'pkcs11js'
import { type PartitionUser, startPartitionUser } from './partition-user.ts'
import { freshState, readLunaState, readLunaStrikes, setLunaFaults, setLunaState } from './state.ts'
import { createLunaToken, type LunaToken } from './token.ts'

const pin = 'crypto-officer-1'
const soPin = 'partition-so-1'
const wrong = 'not-the-password'
const done = { value: null }
const [incorrect, expired, locked, invalidSlot] = [0xa0, 0xa3, 0xa4, 3].map((ckr) => ({ ckr }))
const pinStates = 0xff0000
const { CKF_USER_PIN_COUNT_LOW: low, CKF_USER_PIN_FINAL_TRY: finalTry, CKF_USER_PIN_LOCKED: lockedFlag } = pkcs11

let dir: string
let token: LunaToken
let users: PartitionUser[] = []

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'luna-'))
  token = await createLunaToken(dir, { pin, soPin })
})
beforeEach(async () => {
  await setLunaState(dir, freshState)
  await setLunaFaults(dir, '')
})
afterEach(async () => {
  await Promise.all(users.map((user) => user.kill()))
  users = []
})
after(() => rm(dir, { recursive: true, force: true }))

function newUser(of = token): PartitionUser {
  const user = startPartitionUser(of)
  users.push(user)
  return user
}

async function startedUser(of = token): Promise<PartitionUser> {
  const user = newUser(of)
  assert.deepEqual(await user.ask({ do: 'start' }), done)
  return user
}

async function pinFlags(user: PartitionUser): Promise<number> {
  const answer = await user.ask({ do: 'tokenInfo' })
  assert.ok('value' in answer)
  return (answer.value as { flags: number }).flags & pinStates
}

describe('the stand-in partition', () => {
  it('shows one slot, number 3, with and without tokenPresent', async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'slots' }), { value: [[3], [3]] })
  })

  it("says what the guide's partition says", async () => {
    const user = await startedUser()
    const answer = await user.ask({ do: 'tokenInfo' })
    assert.ok('value' in answer)
    const info = answer.value as Record<string, unknown>
    assert.match(token.serial, /^[1-9]\d{12}$/)
    assert.deepEqual(
      { ...info, flags: Number(info.flags) & ~0x20, utcTime: '' },
      {
        label: 'HSMoDnFIPS'.padEnd(32),
        manufacturerID: 'Safenet, Inc.'.padEnd(32),
        model: 'Cryptovisor7'.padEnd(16),
        serialNumber: token.serial.padEnd(16),
        flags:
          pkcs11.CKF_RNG | pkcs11.CKF_LOGIN_REQUIRED | pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_TOKEN_INITIALIZED,
        maxSessionCount: 0,
        sessionCount: info.sessionCount,
        maxRwSessionCount: 0,
        rwSessionCount: info.rwSessionCount,
        maxPinLen: 255,
        minPinLen: 7,
        hardwareVersion: { major: 0, minor: 0 },
        firmwareVersion: { major: 7, minor: 1 },
        utcTime: '',
        totalPublicMemory: 159744n,
        freePublicMemory: 159744n,
        totalPrivateMemory: 159744n,
        freePrivateMemory: 159744n
      }
    )
  })

  it('knows no other slot, in any call that takes one', async () => {
    const user = await startedUser()
    for (const slot of [0, 1, 4, 663413667])
      assert.deepEqual(await user.ask({ do: 'otherSlot', slot }), { value: Array(7).fill(invalidSlot) })
    await setLunaState(dir, { slot: 5 })
    assert.deepEqual(await user.ask({ do: 'slots' }), { value: [[5], [5]] })
    assert.deepEqual(await user.ask({ do: 'tokenInfo' }), invalidSlot)
  })

  it('makes keys, signs and seals once the Crypto Officer is logged in, and offers mechanisms', async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), { value: { valid: true, opened: 'what was sealed' } })
    const mechanisms = await user.ask({ do: 'mechanisms' })
    assert.ok('value' in mechanisms && Number(mechanisms.value) > 40)
  })

  it('serves several threads at once', async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'threads', count: 6, rounds: 20 }), { value: 120 })
  })

  it('is seen and opened by processes that start and log in together', async () => {
    const crowd = Array.from({ length: 6 }, () => newUser())
    for (let round = 0; round < 5; round++) {
      const logins = crowd.map(async (user) => [
        await user.ask({ do: 'start' }),
        await user.ask({ do: 'login', pin }),
        await user.ask({ do: 'finish' })
      ])
      assert.deepEqual(await Promise.all(logins), Array(6).fill([done, done, done]))
    }
    assert.equal((await readLunaState(dir)).logins, 30)
  })

  it('is a module that pkcs11-tool accepts', async (test) => {
    if (spawnSync('pkcs11-tool', ['--help']).error !== undefined)
      return test.skip('pkcs11-tool is not installed (opensc)')
    const env = { PATH: process.env.PATH, ChrystokiConfigurationPath: token.confPath }
    const { stdout } = await promisify(execFile)('pkcs11-tool', ['--module', token.module, '-L'], { env })
    assert.match(stdout, /\(0x3\): Net Token Slot\n\s+token label\s+: HSMoDnFIPS\n/)
    assert.match(stdout, /firmware version\s+: 7\.1\n\s+serial num\s+: (\d{13})\n/)
  })
})

describe('wrong passwords', () => {
  it('are counted over processes, raise the flags, and are forgotten after a right one', async () => {
    const [one, two] = [await startedUser(), await startedUser()]
    assert.equal(await pinFlags(one), 0)
    assert.deepEqual(await one.ask({ do: 'login', pin: wrong }), incorrect)
    assert.deepEqual(await two.ask({ do: 'login', pin: '' }), incorrect)
    assert.equal(await pinFlags(one), low)
    assert.deepEqual(await readLunaState(dir), { ...freshState, logins: 2, failures: 2, rejections: 2 })

    await setLunaState(dir, { failures: 9 })
    assert.equal(await pinFlags(two), low | finalTry)
    assert.deepEqual(await two.ask({ do: 'login', pin }), done)
    assert.equal(await pinFlags(one), 0)
    assert.deepEqual(await readLunaState(dir), { ...freshState, logins: 3, failures: 0, rejections: 2 })
  })

  it('lock at the tenth, exactly, however many processes try; the right one is refused then', async () => {
    const crowd = await Promise.all([startedUser(), startedUser(), startedUser(), startedUser()])
    const tries = crowd.map(async (user) => {
      const codes: unknown[] = []
      for (let i = 0; i < 3; i++) codes.push(await user.ask({ do: 'login', pin: wrong }))
      return codes
    })
    const answers = (await Promise.all(tries)).flat().map((answer) => (answer as { ckr: number }).ckr)
    assert.deepEqual(answers.toSorted(), [...Array(10).fill(0xa0), 0xa4, 0xa4])
    assert.deepEqual(await readLunaState(dir), { ...freshState, logins: 12, failures: 10, rejections: 10 })

    const late = await startedUser()
    assert.equal(await pinFlags(late), low | lockedFlag)
    assert.deepEqual(await late.ask({ do: 'login', pin }), locked)
    assert.deepEqual(await late.ask({ do: 'setPin', old: pin, pin: 'another-password' }), locked)
  })

  it('lock after fewer when the partition policy says so', async () => {
    await setLunaState(dir, { lockAt: 2 })
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', pin: wrong }), incorrect)
    assert.equal(await pinFlags(user), low | finalTry)
    assert.deepEqual(await user.ask({ do: 'login', pin: wrong }), incorrect)
    assert.deepEqual(await user.ask({ do: 'login', pin }), locked)
  })

  it('count as such in C_SetPIN too, and only when it is the password that is wrong', async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'setPin', old: wrong, pin: 'another-password' }), incorrect)
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'login', pin: wrong }), { ckr: 0x100 }) // already logged in: not looked at
    assert.deepEqual(await user.ask({ do: 'setPin', old: pin, pin: 'short' }), { ckr: 0xa2 })
    assert.deepEqual(await readLunaState(dir), { ...freshState, logins: 2, failures: 0, rejections: 1 })
  })

  it("of the Partition SO are counted apart, and lock at the SO's tenth", async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', as: pkcs11.CKU_SO, pin: wrong }), incorrect)
    assert.equal(await pinFlags(user), pkcs11.CKF_SO_PIN_COUNT_LOW)
    assert.deepEqual(await readLunaState(dir), { ...freshState, soLogins: 1, soFailures: 1 })
    await setLunaState(dir, { soFailures: 10 })
    assert.deepEqual(await user.ask({ do: 'login', as: pkcs11.CKU_SO, pin: soPin }), locked)
  })

  it('leave the counters whole and the lock free when a process is killed in the middle', async () => {
    const heir = await startedUser()
    for (let round = 0; round < 6; round++) {
      const victim = await startedUser()
      await victim.ask({ do: 'loginForEver', pin, wrong: 'a wrong password' })
      await victim.kill()
      const { failures, lockAt, slot } = await readLunaState(dir)
      assert.ok(failures <= 2, `one wrong try and one charged in advance, not ${failures}`)
      assert.deepEqual([lockAt, slot], [10, 3])
      assert.deepEqual(await heir.ask({ do: 'login', pin }), done)
      assert.deepEqual(await heir.ask({ do: 'logout' }), done)
      assert.equal((await readLunaState(dir)).failures, 0)
    }
  })

  it('a right one is no failure, whoever sent it and was killed before the answer', async () => {
    for (let round = 0; round < 12; round++) {
      const victim = await startedUser()
      await victim.ask({ do: 'loginForEver', pin })
      await victim.kill()
      assert.equal((await readLunaState(dir)).failures, 0)
    }
  })

  it('for the Crypto User, who was never made, cost nothing', async () => {
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', as: 0x80000001, pin }), { ckr: 0x102 })
    assert.deepEqual(await readLunaState(dir), freshState)
  })
})

describe('the initial password', () => {
  it('logs in, is expired at the first operation, and is good once changed', async (test) => {
    const folder = await mkdtemp(join(tmpdir(), 'luna-'))
    test.after(() => rm(folder, { recursive: true, force: true }))
    const fresh = await createLunaToken(folder, { pin, soPin, initialPin: true })
    assert.deepEqual(await readLunaState(folder), { ...freshState, initialPin: true })

    const user = await startedUser(fresh)
    assert.deepEqual(await user.ask({ do: 'find' }), done) // not logged in: public objects only
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'find' }), expired)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), expired)
    assert.deepEqual(await user.ask({ do: 'setPin', old: pin, pin: 'changed-password' }), done)
    assert.deepEqual(await user.ask({ do: 'find' }), done)

    const other = await startedUser(fresh)
    assert.deepEqual(await other.ask({ do: 'login', pin }), incorrect)
    assert.deepEqual(await other.ask({ do: 'login', pin: 'changed-password' }), done)
    assert.deepEqual(await other.ask({ do: 'roundTrip' }), { value: { valid: true, opened: 'what was sealed' } })
  })

  it('comes back when the Partition SO resets a locked Crypto Officer', async () => {
    await setLunaState(dir, { failures: 10 })
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', pin }), locked)
    assert.deepEqual(await user.ask({ do: 'login', as: pkcs11.CKU_SO, pin: soPin }), done)
    assert.deepEqual(await user.ask({ do: 'initPin', pin: 'given-by-the-so' }), done)
    assert.deepEqual(await user.ask({ do: 'logout' }), done)
    assert.deepEqual(await readLunaState(dir), { ...freshState, logins: 1, soLogins: 1, initialPin: true })
    assert.deepEqual(await user.ask({ do: 'login', pin: 'given-by-the-so' }), done)
    assert.deepEqual(await user.ask({ do: 'find' }), expired)
    assert.deepEqual(await user.ask({ do: 'setPin', old: 'given-by-the-so', pin }), done)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), { value: { valid: true, opened: 'what was sealed' } })
  })
})

describe('faults on demand', () => {
  it('strike once over all processes, or for good, and stop when told', async () => {
    const [one, two] = [await startedUser(), await startedUser()]
    await setLunaFaults(dir, 'C_Login=0x30*1; C_GetTokenInfo=0xE1')
    assert.deepEqual(await one.ask({ do: 'login', pin }), { ckr: 0x30 })
    assert.deepEqual(await two.ask({ do: 'login', pin }), done)
    assert.deepEqual(await two.ask({ do: 'tokenInfo' }), { ckr: 0xe1 })
    assert.deepEqual(await one.ask({ do: 'tokenInfo' }), { ckr: 0xe1 })
    assert.deepEqual((await readLunaStrikes(dir)).slice(0, 3), [2, 0, 0])
    await setLunaFaults(dir, '')
    assert.equal(await pinFlags(one), 0)
    assert.equal((await readLunaState(dir)).logins, 1)
  })

  it('delay a call', async () => {
    await setLunaFaults(dir, 'C_FindObjectsInit=lat:120000')
    const user = await startedUser()
    const begun = performance.now()
    assert.deepEqual(await user.ask({ do: 'find' }), done)
    assert.ok(performance.now() - begun >= 120)
  })

  it('freeze a call until they are lifted', async () => {
    const user = await startedUser()
    await setLunaFaults(dir, 'C_FindObjectsInit=freeze*9')
    let answered = false
    const answer = user.ask({ do: 'find' }).finally(() => {
      answered = true
    })
    while ((await readLunaStrikes(dir))[0] === 0) await turn()
    assert.equal(answered, false)
    await setLunaFaults(dir, '')
    assert.deepEqual(await answer, done)
  })

  it('crash or hang the process that calls, and nobody else', async () => {
    await setLunaFaults(dir, 'C_Login=crash*1; C_Login=hang')
    const [crashed, hung, bystander] = [await startedUser(), await startedUser(), await startedUser()]
    await assert.rejects(crashed.ask({ do: 'login', pin }), /ended in login \(SIGSEGV\)/)
    const answer = hung.ask({ do: 'login', pin })
    assert.equal(await pinFlags(bystander), 0)
    await Promise.all([hung.kill(), assert.rejects(answer, /ended in login \(SIGKILL\)/)])
  })
})

describe('the folder of a partition', () => {
  it('is adopted with its serial and password when it is there', async () => {
    assert.deepEqual(await createLunaToken(dir, { pin: 'something-else', soPin }), token)
    const user = await startedUser()
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
  })

  it('is made anew when a killed run left it half made', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'luna-'))
    try {
      await assert.rejects(
        createLunaToken(folder, { pin: 'short', soPin }),
        /could not be initialised: .*PIN_LEN_RANGE/
      )
      const made = await createLunaToken(folder, { pin, soPin })
      const user = await startedUser(made)
      assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('is for its owner only, and holds no password', async () => {
    for (const name of ['Chrystoki.conf', 'softhsm2.conf', 'state', 'partition.json']) {
      assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600, name)
      const text = await readFile(join(dir, name), 'latin1')
      assert.ok(!text.includes(pin) && !text.includes(soPin), name)
    }
    assert.equal((await stat(join(dir, 'tokens'))).mode & 0o777, 0o700)
  })
})
