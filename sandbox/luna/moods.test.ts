import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import pkcs11 from 'pkcs11js'
import { type PartitionUser, startPartitionUser } from './partition-user.ts'
import { chooseScenario, lunaScenarios } from './scenarios.ts'
import {
  freshState,
  loginsWith,
  readLunaLogins,
  readLunaState,
  setLunaFaults,
  setLunaMechanisms,
  setLunaState
} from './state.ts'
import { createLunaToken, type LunaToken } from './token.ts'

const pin = 'crypto-officer-1'
const soPin = 'partition-so-1'
const done = { value: null }
const [standardWrap, standardPad, lunaWrap, lunaPad] = [0x2109, 0x210a, 0x80000170, 0x80000171]
const mechanismInvalid = { ckr: 0x70 }
const parameterInvalid = { ckr: 0x71 }
const deviceError = { ckr: 0x30 }
const notPresent = { ckr: 0xe0 }
const roundTrip = { value: { valid: true, opened: 'what was sealed' } }

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
  await setLunaMechanisms(dir, { withhold: [] })
})
afterEach(async () => {
  await Promise.all(users.map((user) => user.kill()))
  users = []
})
after(() => rm(dir, { recursive: true, force: true }))

async function startedUser(): Promise<PartitionUser> {
  const user = startPartitionUser(token)
  users.push(user)
  assert.deepEqual(await user.ask({ do: 'start' }), done)
  return user
}

async function officer(): Promise<PartitionUser> {
  const user = await startedUser()
  assert.deepEqual(await user.ask({ do: 'login', pin }), done)
  return user
}

async function flags(user: PartitionUser): Promise<number> {
  const answer = await user.ask({ do: 'tokenInfo' })
  assert.ok('value' in answer)
  return (answer.value as { flags: number }).flags
}

describe('a token that is lost', () => {
  it('is in no slot, and every call on it fails at once, in the middle of work', async () => {
    const user = await officer()
    await setLunaState(dir, { present: false })
    assert.deepEqual(await user.ask({ do: 'slots' }), { value: [[], [3]] })
    assert.deepEqual(await user.ask({ do: 'tokenInfo' }), notPresent)
    assert.deepEqual(await user.ask({ do: 'mechanisms' }), notPresent)
    for (const action of ['find', 'roundTrip', 'logout'] as const)
      assert.deepEqual(await user.ask({ do: action }), deviceError, action)
    assert.deepEqual(await user.ask({ do: 'login', pin }), deviceError)
    assert.equal((await readLunaState(dir)).logins, 1)
  })

  it('and back serves who starts anew and logs in; who was there meanwhile has lost everything for good', async () => {
    const user = await officer()
    await setLunaState(dir, { present: false })
    await setLunaState(dir, { present: true })
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), deviceError)
    assert.deepEqual(await user.ask({ do: 'open' }), deviceError)
    assert.deepEqual(await user.ask({ do: 'finish' }), done)
    assert.deepEqual(await user.ask({ do: 'start' }), done)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), { ckr: 0x101 })
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), roundTrip)
  })

  it('is found by a program that was started while it was away', async () => {
    await setLunaState(dir, { present: false })
    const user = startPartitionUser(token)
    users.push(user)
    assert.deepEqual(await user.ask({ do: 'initialize' }), done)
    assert.deepEqual(await user.ask({ do: 'slots' }), { value: [[], [3]] })
    await setLunaState(dir, { present: true })
    assert.deepEqual(await user.ask({ do: 'open' }), done)
    assert.deepEqual(await user.ask({ do: 'login', pin }), done)
    assert.deepEqual(await user.ask({ do: 'roundTrip' }), roundTrip)
  })
})

describe('AES-GCM', () => {
  it('takes the IV of its caller', async () => {
    const user = await officer()
    const sealed = { value: { bytesBehindTag: 0, opened: 'what was sealed' } }
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 12, opening: 'data' }), sealed)
  })

  it('of a FIPS partition refuses it, and puts 16 bytes of its own behind the tag', async () => {
    const user = await officer()
    await setLunaState(dir, { gcm: 'token-iv' })
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 12, opening: 'data' }), parameterInvalid)
    const sealed = { value: { bytesBehindTag: 16, opened: 'what was sealed' } }
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 0, opening: 'data' }), sealed)
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 0, opening: 'parameter' }), parameterInvalid)
  })

  it('of another firmware wants its IV back as the parameter', async () => {
    const user = await officer()
    await setLunaState(dir, { gcm: 'token-iv-parameter' })
    const sealed = { value: { bytesBehindTag: 16, opened: 'what was sealed' } }
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 0, opening: 'parameter' }), sealed)
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 0, opening: 'data' }), parameterInvalid)
  })
})

describe('mechanisms', () => {
  const numbers = async (user: PartitionUser) => {
    const answer = await user.ask({ do: 'mechanismNumbers' })
    assert.ok('value' in answer)
    return answer.value as number[]
  }

  it('are missing from the list and refused in use when withheld', async () => {
    const user = await officer()
    const before = await numbers(user)
    await setLunaMechanisms(dir, { withhold: [pkcs11.CKM_AES_GCM, standardWrap] })
    const lacking = before.filter((number) => number !== pkcs11.CKM_AES_GCM && number !== standardWrap)
    assert.equal(lacking.length, before.length - 2)
    assert.deepEqual(await numbers(user), lacking)
    assert.deepEqual(await user.ask({ do: 'seal', ivBytes: 12, opening: 'data' }), mechanismInvalid)
    assert.deepEqual(await user.ask({ do: 'wrap', mechanism: standardWrap, what: 'secret' }), mechanismInvalid)
    assert.deepEqual(await user.ask({ do: 'wrap', mechanism: standardPad, what: 'secret' }), { value: 40 })
    await setLunaMechanisms(dir, { withhold: [] })
    assert.deepEqual(await numbers(user), before)
  })

  it("have Luna's numbers for key wrap and RSA generation in place of the standard ones", async () => {
    const user = await officer()
    const before = await numbers(user)
    await setLunaState(dir, { vendorWrap: true, vendorRsa: true })
    const own = new Map([
      [standardWrap, lunaWrap],
      [standardPad, lunaPad],
      [0x0, 0x80000143]
    ])
    assert.deepEqual(
      await numbers(user),
      before.map((number) => own.get(number) ?? number)
    )
    for (const mechanism of [standardWrap, standardPad])
      assert.deepEqual(await user.ask({ do: 'wrap', mechanism, what: 'secret' }), mechanismInvalid)
    for (const mechanism of [lunaWrap, lunaPad])
      assert.deepEqual(await user.ask({ do: 'wrap', mechanism, what: 'secret' }), { value: 40 })
    assert.deepEqual(await user.ask({ do: 'rsaPair', mechanism: 0 }), mechanismInvalid)
    assert.deepEqual(await user.ask({ do: 'rsaPair', mechanism: 0x80000143 }), { value: 'made' })
  })

  it('wrap a private key, or refuse just that', async () => {
    const user = await officer()
    const answer = await user.ask({ do: 'wrap', mechanism: standardPad, what: 'private' })
    assert.ok('value' in answer && Number(answer.value) > 40, JSON.stringify(answer))
    await setLunaState(dir, { refusePrivateWrap: true })
    assert.deepEqual(await user.ask({ do: 'wrap', mechanism: standardPad, what: 'private' }), { ckr: 0x69 })
    assert.deepEqual(await user.ask({ do: 'wrap', mechanism: standardPad, what: 'secret' }), { value: 40 })
  })
})

describe('sessions', () => {
  it('of one process are as many as the limit, again and again; another process has its own', async () => {
    const [user, other] = [await startedUser(), await startedUser()]
    assert.deepEqual(await user.ask({ do: 'sessionsUntilRefused' }), { value: { opened: 100 } })
    await setLunaState(dir, { maxSessions: 4 })
    const limited = { value: { opened: 3, ckr: 0xb1, told: 4 } } // the user holds one itself
    for (const each of [user, user, other]) assert.deepEqual(await each.ask({ do: 'sessionsUntilRefused' }), limited)
  })
})

describe('slots', () => {
  const shown = async () => {
    const answer = await (await startedUser()).ask({ do: 'tokens' })
    assert.ok('value' in answer)
    return answer.value
  }
  const serial = (more: number) => String(Number(token.serial) + more)

  it('show further partitions, with other labels or the same one', async () => {
    await setLunaState(dir, { slots: 2 })
    assert.deepEqual(await shown(), [
      [3, 'HSMoDnFIPS', serial(0), 'Cryptovisor7'],
      [4, 'HSMoDnFIPS-2', serial(1), 'Cryptovisor7']
    ])
    await setLunaState(dir, { others: 'same-label' })
    assert.deepEqual(await shown(), [
      [3, 'HSMoDnFIPS', serial(0), 'Cryptovisor7'],
      [4, 'HSMoDnFIPS', serial(1), 'Cryptovisor7']
    ])
  })

  it('show an HA group as a virtual slot behind its members, or alone', async () => {
    await setLunaState(dir, { slots: 3, others: 'ha-group' })
    assert.deepEqual(await shown(), [
      [3, 'HSMoDnFIPS', serial(0), 'Cryptovisor7'],
      [4, 'HSMoDnFIPS-2', serial(1), 'Cryptovisor7'],
      [5, 'HSMoDnFIPS-HA', `1${token.serial}`, 'LunaVirtual']
    ])
    await setLunaState(dir, { slot: 0, slots: 1, others: 'ha-only' })
    assert.deepEqual(await shown(), [[0, 'HSMoDnFIPS-HA', `1${token.serial}`, 'LunaVirtual']])
  })

  it('show another token of the same label, or the same one under another label', async () => {
    await setLunaState(dir, { swapped: true })
    assert.deepEqual(await shown(), [[3, 'HSMoDnFIPS', serial(100), 'Cryptovisor7']])
    await setLunaState(dir, { swapped: false, label: 'production' })
    assert.deepEqual(await shown(), [[3, 'production', serial(0), 'Cryptovisor7']])
    assert.equal((await readLunaState(dir)).label, 'production')
  })
})

describe('what the token says of itself', () => {
  it('are the flags of a PIN that nobody has tried', async () => {
    const user = await startedUser()
    const { CKF_USER_PIN_COUNT_LOW: low, CKF_USER_PIN_FINAL_TRY: final, CKF_USER_PIN_LOCKED: locked } = pkcs11
    const pinStates = low | final | locked
    for (const [pinFlags, expected] of [
      ['count-low', low],
      ['final-try', low | final],
      ['locked', low | locked]
    ] as const) {
      await setLunaState(dir, { pinFlags })
      assert.equal((await flags(user)) & pinStates, expected, pinFlags)
    }
    await setLunaState(dir, { pinFlags: 'none', failures: 9 })
    assert.equal((await flags(user)) & pinStates, 0)
  })

  it('is that it, or its Crypto Officer, was never initialised; a login is counted, and costs no try', async () => {
    const user = await startedUser()
    const initialised = pkcs11.CKF_TOKEN_INITIALIZED | pkcs11.CKF_USER_PIN_INITIALIZED
    await setLunaState(dir, { cryptoOfficer: false })
    assert.equal((await flags(user)) & initialised, pkcs11.CKF_TOKEN_INITIALIZED)
    assert.deepEqual(await user.ask({ do: 'login', pin }), { ckr: 0x102 })
    await setLunaState(dir, { cryptoOfficer: true, initialised: false })
    assert.equal((await flags(user)) & initialised, 0)
    assert.deepEqual(await user.ask({ do: 'login', pin }), { ckr: 0x102 })
    const { logins, failures } = await readLunaState(dir)
    assert.deepEqual([logins, failures], [2, 0])
  })

  it('is how much room is left', async () => {
    await setLunaState(dir, { freeBytes: 512 })
    const answer = await (await startedUser()).ask({ do: 'tokenInfo' })
    assert.ok('value' in answer)
    assert.equal((answer.value as { freePrivateMemory: bigint }).freePrivateMemory, 512n)
  })
})

describe('logins', () => {
  it('are counted for each PIN over all processes, and no PIN is in the memory', async () => {
    const [one, two] = [await startedUser(), await startedUser()]
    const long = 'eight by eight 1'.padEnd(64, 'x') // whole blocks of the hash
    await setLunaState(dir, { lockAt: 20 })
    for (const user of [one, two])
      for (const tried of ['wrong-one', 'wrong-one', long, '']) {
        assert.deepEqual(await user.ask({ do: 'login', pin: tried }), { ckr: 0xa0 })
      }
    assert.deepEqual(await one.ask({ do: 'login', pin }), done)
    const counted = await Promise.all(['wrong-one', long, '', pin, 'never-tried'].map((each) => loginsWith(dir, each)))
    assert.deepEqual(counted, [4, 2, 2, 1, 0])
    const rows = await readLunaLogins(dir)
    assert.deepEqual(
      rows.map(({ logins, rejections }) => [logins, rejections]),
      [
        [4, 4],
        [2, 2],
        [2, 2],
        [1, 0]
      ]
    )
    const memory = await readFile(join(dir, 'state'), 'latin1')
    assert.ok(!memory.includes('wrong-one') && !memory.includes(pin))
    await setLunaState(dir, { logins: 0 })
    assert.deepEqual(await readLunaLogins(dir), [])
  })
})

describe('every scenario', () => {
  for (const [name, { title, set }] of Object.entries(lunaScenarios)) {
    it(`${name} is told apart from a well partition: ${title}`, async () => {
      await setLunaState(dir, { logins: 5, rejections: 2 })
      await lunaScenarios.well?.set(dir)
      const seen = async () => ({
        state: await readLunaState(dir),
        faults: await readFile(join(dir, 'state.faults'), 'utf8'),
        withheld: await readFile(join(dir, 'state.withheld'), 'utf8')
      })
      const well = await seen()
      assert.deepEqual(well, { state: { ...freshState, logins: 5, rejections: 2 }, faults: '', withheld: '' })
      await set(dir)
      const bad = await seen()
      assert.equal(bad.state.logins, 5)
      if (name === 'well') assert.deepEqual(bad, well)
      else assert.notDeepEqual(bad, well)
    })
  }

  it('is chosen for a start, and over at the next one without it', async () => {
    await chooseScenario(dir, 'locked')
    assert.equal((await readLunaState(dir)).failures, 10)
    await chooseScenario(dir, undefined)
    assert.equal((await readLunaState(dir)).failures, 0)
    await setLunaState(dir, { failures: 3 })
    await chooseScenario(dir, undefined)
    assert.equal((await readLunaState(dir)).failures, 3, 'what a person did to a well partition stays')
  })

  it('can be ended: the partition serves as before', async () => {
    for (const { set } of Object.values(lunaScenarios)) await set(dir)
    await lunaScenarios.well?.set(dir)
    assert.deepEqual(await (await officer()).ask({ do: 'roundTrip' }), roundTrip)
  })
})

describe('the memory of an earlier version', () => {
  it('is adopted: what it has not is as in a new one', async () => {
    await setLunaState(dir, { slot: 4, failures: 2, freeBytes: 1 })
    await truncate(join(dir, 'state'), 256)
    await createLunaToken(dir, { pin, soPin })
    assert.deepEqual(await readLunaState(dir), { ...freshState, slot: 4, failures: 2 })
    assert.deepEqual(await (await officer()).ask({ do: 'roundTrip' }), roundTrip)
  })
})
