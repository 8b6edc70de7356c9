/** The ladder over the stand-in partition's bad days: one row for each outcome that a token can bring about. */
import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { openKeyStore } from '../../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { lunaScenarios } from '../../../sandbox/luna/scenarios.ts'
import { type LunaState, readLunaState, setLunaFaults, setLunaState } from '../../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../../sandbox/luna/token.ts'
import type { Finding } from '../check.ts'
import { judgeLadder } from '../ladder-judge.ts'
import { type Diagnosis, diagnoseKeyStore, type KeyStoreQuestion } from './diagnose.ts'
import { keyStoreEvidence } from './evidence.ts'
import type { KeyStoreRecord } from './key-store-record.ts'
import { rungIds, rungsFor } from './rungs.ts'

const pin = 'crypto-officer-1'
const folder = mkdtempSync(join(tmpdir(), 'diagnose-'))
const lunaFolder = join(folder, 'luna')
let token: LunaToken
before(async () => {
  token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
})
after(() => rmSync(folder, { recursive: true }))

type Luna = Extract<KeyStoreConfig, { profile: 'gemalto-safenet' }>
let states = 0

interface Day {
  /** One of lunaScenarios. */
  readonly scenario?: string
  readonly state?: Partial<LunaState>
  readonly faults?: string
  readonly config?: Partial<Luna>
  readonly ask?: Partial<Omit<KeyStoreQuestion, 'config'>>
  readonly onFinding?: (finding: Finding) => void
}

async function diagnose(day: Day): Promise<Diagnosis> {
  const { scenario = 'well', state = {}, faults, config = {}, ask = {}, onFinding } = day
  await lunaScenarios[scenario]?.set(lunaFolder)
  await setLunaState(lunaFolder, { ...state, logins: 0 })
  if (faults !== undefined) await setLunaFaults(lunaFolder, faults)
  const { module, confPath, slot, label } = token
  const stateDir = join(folder, `state-${++states}`)
  const meant = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, ...config } as const
  const told: Finding[] = []
  const asked = { config: meant, pin, stateDir, ...ask }
  const diagnosis = await diagnoseKeyStore(asked, {
    finding: (finding) => {
      told.push(finding)
      onFinding?.(finding)
    }
  })
  assert.deepEqual(told, diagnosis.findings)
  assert.deepEqual(told, judgedAtTheEnd(asked, diagnosis), 'what was told early is what the whole says')
  assert.ok(!JSON.stringify([diagnosis.findings, diagnosis.evidence]).includes(pin), 'no password leaves')
  assert.deepEqual(
    diagnosis.findings.map(({ id }) => id),
    rungsFor(meant).map(({ id }) => id)
  )
  return diagnosis
}

/** The whole ladder over all facts at once. */
function judgedAtTheEnd({ config, pin, record = null, runAs }: KeyStoreQuestion, { facts }: Diagnosis): Finding[] {
  const known = config.profile !== 'nss' && record?.profile === config.profile && record.label === config.partition
  const seen = {
    config: known ? { ...config, serial: record.serial } : config,
    facts,
    step: null,
    pinGiven: pin !== null,
    record,
    runAs: runAs?.uid ?? null
  }
  return judgeLadder(rungsFor(config), seen, 0, {})
}

const rung = ({ findings }: Diagnosis, id: string): Finding => {
  const finding = findings.find((candidate) => candidate.id === id)
  assert.ok(finding !== undefined, id)
  return finding
}
const logins = async () => (await readLunaState(lunaFolder)).logins

/** Title, day, the rung that fails, what it says, its cure, its place in the guide, the code, and the logins it cost. */
type Row = readonly [
  title: string,
  day: Day,
  id: string,
  say: RegExp,
  cure: RegExp,
  guide: string | undefined,
  ckr: string | undefined,
  cost: number
]

const failures: readonly Row[] = [
  [
    'a library that is not there',
    { config: { module: '/nowhere/libCryptoki2_64.so' } },
    'kms.library',
    /no such file/,
    /libCryptoki2_64\.so/,
    'Guide: DPoD, items 1 to 4',
    undefined,
    0
  ],
  [
    'a relative path',
    { config: { module: 'libCryptoki2_64.so' } },
    'kms.library',
    /not absolute/,
    /path of the 64-bit library/,
    'Guide: DPoD, items 1 to 4',
    undefined,
    0
  ],
  [
    'a text file',
    { config: { module: join(folder, 'text.so') } },
    'kms.architecture',
    /not a Linux library/,
    /64-bit library/,
    'Guide: table 1',
    undefined,
    0
  ],
  [
    'a library for ARM',
    { config: { module: join(folder, 'arm.so') } },
    'kms.architecture',
    /another processor \(it is for AArch64\)/,
    /64-bit library/,
    'Guide: table 1',
    undefined,
    0
  ],
  [
    'a 32-bit library',
    { config: { module: join(folder, 'short.so') } },
    'kms.architecture',
    /32-bit/,
    /64-bit library/,
    'Guide: table 1',
    undefined,
    0
  ],
  [
    'a cut-off library',
    { config: { module: join(folder, 'cut.so') } },
    'kms.loads',
    /could not be loaded: .*(too short|crashed)/,
    /vtl verify/,
    'Guide: DPoD, items 1 to 4',
    undefined,
    0
  ],
  [
    'a folder without Chrystoki.conf',
    { config: { confPath: folder } },
    'kms.initialises',
    /CKR_GENERAL_ERROR from C_Initialize/,
    /Chrystoki\.conf folder/,
    'Guide: HSM prerequisites 5 and 6',
    'CKR_GENERAL_ERROR',
    0
  ],
  [
    'a crash at the start',
    { faults: 'C_Initialize=crash' },
    'kms.initialises',
    /crashed while starting \(C_Initialize, SIGSEGV\)/,
    /vtl verify/,
    undefined,
    undefined,
    0
  ],
  [
    'no HSM in reach at the start',
    { faults: 'C_Initialize=0x8000001F' },
    'kms.initialises',
    /cannot be reached/,
    /vtl verify/,
    'Guide: HSM prerequisites 5 and 6',
    'CKR_UNABLE_TO_CONNECT',
    0
  ],
  [
    'a library that ends the process',
    { faults: 'C_GetSlotList=exit' },
    'kms.slot-present',
    /ended the process while listing slots/,
    /vtl verify/,
    undefined,
    undefined,
    0
  ],
  [
    'a slot that is not there',
    { config: { slot: 0 } },
    'kms.slot-present',
    /^Slot 0 was not found; HSMoDnFIPS is in slot 3\.$/,
    /Enter slot 3/,
    'Guide: DPoD, item 5',
    undefined,
    0
  ],
  [
    'a moved slot',
    { scenario: 'moved-slot' },
    'kms.slot-present',
    /HSMoDnFIPS is in slot 7/,
    /Enter slot 7/,
    'Guide: DPoD, item 5',
    undefined,
    0
  ],
  [
    'slot and name both wrong',
    { config: { slot: 9, partition: 'other' } },
    'kms.slot-present',
    /Available: 3 – HSMoDnFIPS\.$/,
    /slot list/,
    'Guide: DPoD, item 5',
    undefined,
    0
  ],
  [
    'two of one name, and a slot that is neither',
    { scenario: 'duplicate-label', config: { slot: 9 } },
    'kms.slot-present',
    /2 partitions are called HSMoDnFIPS: slot 3 \(serial \d+\), slot 4/,
    /serial number/,
    'Guide: DPoD, items 9 and 14',
    undefined,
    0
  ],
  [
    'a token that is gone',
    { scenario: 'lost' },
    'kms.token-present',
    /there is no token in it/,
    /vtl verify/,
    'Guide: HSM prerequisites 5 and 6',
    'CKR_TOKEN_NOT_PRESENT',
    0
  ],
  [
    'a token that does not answer',
    { faults: 'C_GetTokenInfo=0x30' },
    'kms.slot-present',
    /CKR_DEVICE_ERROR from C_GetTokenInfo/,
    /vtl verify/,
    'Guide: HSM prerequisites 5 and 6',
    'CKR_DEVICE_ERROR',
    0
  ],
  [
    'a partition that was never initialised',
    { scenario: 'not-initialised' },
    'kms.token-initialised',
    /not initialised/,
    /`slot set -slot 3`, then `par init -label HSMoDnFIPS`/,
    'Guide: DPoD, items 7 and 8',
    undefined,
    0
  ],
  [
    'another name',
    { scenario: 'wrong-label' },
    'kms.partition-label',
    /^Slot 3 holds "production", not "HSMoDnFIPS"\.$/,
    /name of this partition/,
    'Guide: DPoD, items 9 and 14',
    undefined,
    0
  ],
  [
    'a serial that no partition has',
    { config: { serial: '99' } },
    'kms.partition-label',
    /No partition has the serial number 99/,
    /leave it empty/,
    'Guide: DPoD, item 15',
    undefined,
    0
  ],
  [
    'no Crypto Officer',
    { scenario: 'no-crypto-officer' },
    'kms.pin-state',
    /not initialized/,
    /`role init -name Crypto Officer`/,
    'Guide: DPoD, items 10 and 11',
    'CKR_USER_PIN_NOT_INITIALIZED',
    0
  ],
  [
    'a locked Crypto Officer',
    { scenario: 'locked' },
    'kms.pin-state',
    /is locked/,
    /`role resetpw -name Crypto Officer` only if HSM policy 15 was on before/,
    'Guide: DPoD, item 13',
    'CKR_PIN_LOCKED',
    0
  ],
  [
    'the last try',
    { scenario: 'final-try' },
    'kms.pin-state',
    /One more wrong password would lock/,
    /role login -name Crypto Officer/,
    'Guide: DPoD, item 13',
    undefined,
    0
  ],
  [
    'a wrong password',
    { ask: { pin: 'not-the-password' } },
    'kms.login',
    /not correct\. Failure 1 known here; .*at most 10/,
    /after role changepw/,
    'Guide: DPoD, item 13',
    'CKR_PIN_INCORRECT',
    1
  ],
  [
    'a password of the wrong shape',
    { ask: { pin: 'short' } },
    'kms.login',
    /7 to 255 characters/,
    /Correct the password/,
    'Guide: DPoD, item 13',
    undefined,
    0
  ],
  [
    'a crash while logging in',
    { scenario: 'crash' },
    'kms.login',
    /crashed while logging in \(C_Login, SIGSEGV\)/,
    /vtl verify/,
    undefined,
    undefined,
    0
  ],
  [
    'no session left',
    { faults: 'C_OpenSession=0xB1' },
    'kms.login',
    /no session left/,
    /Close other applications/,
    undefined,
    'CKR_SESSION_COUNT',
    0
  ],
  [
    'the initial password',
    { scenario: 'expired' },
    'kms.role',
    /initial one, good for the first login only \(CKR_PIN_EXPIRED\)/,
    /`role changepw -name Crypto Officer`/,
    'Guide: DPoD, item 13',
    'CKR_PIN_EXPIRED',
    1
  ],
  [
    "the Crypto User's password",
    { scenario: 'crypto-user' },
    'kms.role',
    /looks like the password of the Crypto User/,
    /Crypto Officer's password/,
    'Guide: DPoD, item 6',
    'CKR_USER_NOT_AUTHORIZED',
    1
  ],
  [
    'a mechanism that is withheld',
    { scenario: 'no-mechanism' },
    'kms.mechanisms',
    /CKM_AES_GCM is not offered/,
    /par showpolicies/,
    'Guide: table 1',
    undefined,
    1
  ],
  [
    'a refused list of mechanisms',
    { faults: 'C_GetMechanismList=0x30', ask: { pin: null } },
    'kms.mechanisms',
    /CKR_DEVICE_ERROR from C_GetMechanismList/,
    /vtl verify/,
    'Guide: HSM prerequisites 5 and 6',
    'CKR_DEVICE_ERROR',
    0
  ],
  [
    'signatures that are refused',
    { faults: 'C_SignInit=0x70' },
    'kms.round-trips',
    /EC P-256 sign and verify \(.*CKR_MECHANISM_INVALID from C_SignInit\)/,
    /policies/,
    'Guide: table 1',
    'CKR_MECHANISM_INVALID',
    1
  ],
  [
    'a crash while signing',
    { faults: 'C_Sign=crash' },
    'kms.round-trips',
    /crashed while signing with EC P-256/,
    /vtl verify/,
    undefined,
    undefined,
    1
  ],
  [
    'a full partition',
    { scenario: 'full' },
    'kms.round-trips',
    /CKR_DEVICE_MEMORY from C_GenerateKey/,
    /Delete objects/,
    'Guide: DPoD, item 15',
    'CKR_DEVICE_MEMORY',
    1
  ],
  [
    'a partition with 100 bytes left',
    { state: { freeBytes: 100 } },
    'kms.free-space',
    /full: 100 of 159744 bytes are free/,
    /par contents/,
    'Guide: DPoD, item 15',
    undefined,
    1
  ]
]

describe('what fails is named, with code, cure and place in the guide, and costs one login at most', () => {
  before(() => {
    const library = readFileSync(token.module)
    const changed = (name: string, change: (bytes: Buffer) => void, bytes = Buffer.from(library)) => {
      change(bytes)
      writeFileSync(join(folder, name), bytes)
    }
    writeFileSync(join(folder, 'text.so'), 'no library')
    changed('arm.so', (bytes) => bytes.writeUInt16LE(183, 18))
    changed('short.so', (bytes) => bytes.writeUInt8(1, 4))
    changed('cut.so', () => {}, Buffer.from(library.subarray(0, 4096)))
  })

  for (const [title, day, id, say, cure, guide, ckr, cost] of failures) {
    it(title, async () => {
      const diagnosis = await diagnose(day)
      const failed = diagnosis.findings.filter(({ verdict }) => verdict === 'fail')
      assert.deepEqual(
        failed.map((finding) => finding.id),
        [id],
        JSON.stringify(failed)
      )
      const finding = rung(diagnosis, id)
      assert.match(finding.say, say)
      assert.match(finding.cure ?? '', cure)
      assert.equal(finding.guide, guide)
      assert.equal(finding.ckr?.name, ckr)
      assert.equal(await logins(), cost)
    })
  }

  it('a hang is ended by the deadline of its own rung, and named', async () => {
    // The whole has 10 s here; C_Logout has 3 of them, and all that matters was proved before it.
    const { findings } = await diagnose({ faults: 'C_Logout=hang' })
    const ends = findings.find(({ id }) => id === 'kms.ends')
    assert.match(ends?.say ?? '', /did not answer within 3 s while logging out \(C_Logout\)/)
    assert.ok((ends?.ms ?? 0) >= 3000, `it was waited for, not ${ends?.ms} ms`)
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict === 'fail'),
      []
    )
  })
})

describe('a rung is told as soon as it is decided', () => {
  // The call answers only when the rung before it was told: were they told at the end, its deadline would fail it.
  const calls = [
    ['C_Initialize', 'kms.runs-as'],
    ['C_GetSlotList', 'kms.initialises'],
    ['C_OpenSession', 'kms.identity'],
    ['C_Login', 'kms.identity'],
    ['C_GenerateRandom', 'kms.login'],
    ['C_Logout', 'kms.free-space'],
    ['C_Finalize', 'kms.free-space']
  ] as const
  for (const [call, last] of calls) {
    it(`${last} while ${call} is waited for`, async () => {
      const thawed: Promise<void>[] = []
      const onFinding = ({ id }: Finding) => {
        if (id === last) thawed.push(setLunaFaults(lunaFolder, ''))
      }
      const { findings } = await diagnose({ faults: `${call}=freeze`, onFinding })
      await Promise.all(thawed)
      assert.deepEqual(
        findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn'),
        []
      )
      assert.match(rung({ findings } as Diagnosis, 'kms.ends').say, /ended as it should/)
    })
  }

  it('a failed one takes those after it along, while the probe goes on to its end', async () => {
    const thawed: Promise<void>[] = []
    const onFinding = ({ id }: Finding) => {
      if (id === 'kms.free-space') thawed.push(setLunaFaults(lunaFolder, ''))
    }
    const { findings } = await diagnose({ faults: 'C_Finalize=freeze', config: { slot: 9 }, onFinding })
    await Promise.all(thawed)
    assert.equal(findings.find(({ verdict }) => verdict === 'fail')?.id, 'kms.slot-present')
    assert.equal(thawed.length, 1)
  })
})

/** What is worth saying and stops nobody. */
const remarks: readonly (readonly [title: string, day: Day, id: string, verdict: Finding['verdict'], say: RegExp])[] = [
  [
    'a good day says where and as whom',
    {},
    'kms.runs-as',
    'pass',
    /with ChrystokiConfigurationPath=.*: as the KMS will run/
  ],
  ['printing on stdout', { scenario: 'print' }, 'kms.round-trips', 'pass', /Worked/],
  [
    'FIPS mode',
    { scenario: 'fips' },
    'kms.round-trips',
    'pass',
    /makes its own IVs: FIPS mode\. Key wrap by CKM_AES_KW \(Luna\) and CKM_AES_KWP \(Luna\)/
  ],
  ['standard key wrap', {}, 'kms.round-trips', 'pass', /Key wrap by CKM_AES_KEY_WRAP and CKM_AES_KEY_WRAP_PAD/],
  ['no RSA', { faults: 'C_GenerateKeyPair=0x70*2' }, 'kms.round-trips', 'fail', /EC P-256/],
  [
    'a wrong password before, a right one now',
    { scenario: 'count-low' },
    'kms.pin-state',
    'info',
    /had seen a wrong password/
  ],
  [
    'a wrong password before, and none now',
    { scenario: 'count-low', ask: { pin: null } },
    'kms.pin-state',
    'warn',
    /at most 10 failed logins/
  ],
  [
    'the last try, confirmed by its name',
    { scenario: 'final-try', ask: { confirmed: { label: 'HSMoDnFIPS' } } },
    'kms.pin-state',
    'info',
    /set its counter back/
  ],
  [
    'two of one name, told by the slot only',
    { scenario: 'duplicate-label' },
    'kms.partition-label',
    'warn',
    /2 partitions are called HSMoDnFIPS/
  ],
  ['little room', { state: { freeBytes: 5000 } }, 'kms.free-space', 'warn', /5000 of 159744 bytes/],
  [
    'a library that hangs at its end',
    { faults: 'C_Finalize=crash' },
    'kms.ends',
    'info',
    /crashed while ending .*ends its process by force/
  ],
  ['no password', { ask: { pin: null } }, 'kms.login', 'skip', /No password was given/],
  [
    'no password: what is offered is told all the same',
    { ask: { pin: null } },
    'kms.mechanisms',
    'pass',
    /mechanisms, all that is needed/
  ],
  [
    'another user',
    { ask: { runAs: { uid: 4242, gid: 4242 } } },
    'kms.runs-as',
    process.getuid?.() === 0 ? 'skip' : 'warn',
    /Not reached|will run as the user/
  ]
]

describe('what is worth a word', () => {
  for (const [title, day, id, verdict, say] of remarks) {
    it(title, async () => {
      const finding = rung(await diagnose(day), id)
      assert.equal(finding.verdict, verdict, finding.say)
      assert.match(finding.say, say)
    })
  }

  it('offers the slot and the name that are right', async () => {
    assert.deepEqual(
      rung(await diagnose({ config: { slot: 0 }, ask: { pin: null } }), 'kms.slot-present').offer?.values,
      { slot: '3' }
    )
    const named = await diagnose({ config: { partition: 'other' }, ask: { pin: null } })
    assert.deepEqual(rung(named, 'kms.partition-label').offer?.values, { partition: 'HSMoDnFIPS' })
    const twice = await diagnose({ scenario: 'duplicate-label', ask: { pin: null } })
    assert.deepEqual(rung(twice, 'kms.partition-label').offer?.values, { serial: token.serial })
    const clear = await diagnose({ scenario: 'duplicate-label', config: { serial: token.serial }, ask: { pin: null } })
    assert.equal(rung(clear, 'kms.partition-label').verdict, 'pass')
  })

  it('explains an HA group by what the token says, and its members by the configuration', async () => {
    const group = { scenario: 'ha-group', config: { slot: 5, partition: 'HSMoDnFIPS-HA' }, ask: { pin: null } } as const
    const seen = rung(await diagnose(group), 'kms.ha-group')
    assert.match(seen.say, /virtual slot of the HA group "HSMoDnFIPS-HA"/)
    const conf = join(lunaFolder, 'Chrystoki.conf')
    copyFileSync(conf, `${conf}.kept`)
    appendFileSync(
      conf,
      `VirtualToken = {\n  VirtualToken00Label = HSMoDnFIPS-HA;\n  VirtualToken00SN = 1${token.serial};\n  VirtualToken00Members = ${token.serial},77;\n}\n`
    )
    try {
      assert.match(rung(await diagnose(group), 'kms.ha-group').say, new RegExp(`members ${token.serial} and 77`))
      const member = rung(await diagnose({ scenario: 'ha-group', ask: { pin: null } }), 'kms.ha-group')
      assert.equal(member.verdict, 'warn')
      assert.deepEqual(member.offer?.values, { slot: '5', partition: 'HSMoDnFIPS-HA' })
    } finally {
      copyFileSync(`${conf}.kept`, conf)
    }
  })
})

describe('the key store that this install has', () => {
  const record = (change: Partial<KeyStoreRecord> = {}): KeyStoreRecord => ({
    profile: 'gemalto-safenet',
    module: token.module,
    moduleSha256: null,
    confPath: token.confPath,
    folder: null,
    slot: token.slot,
    label: token.label,
    serial: token.serial,
    model: 'Cryptovisor7',
    firmware: '7.1',
    masterKey: null,
    evidence: null,
    ...change
  })
  const about = async (day: Day, change: Partial<KeyStoreRecord>, id = 'kms.identity') =>
    rung(await diagnose({ ...day, ask: { ...day.ask, record: record(change) } }), id)

  it('is followed by its serial into another slot', async () => {
    const moved = { scenario: 'moved-slot', ask: { record: record() } }
    const diagnosis = await diagnose(moved)
    const slot = rung(diagnosis, 'kms.slot-present')
    assert.deepEqual([slot.verdict, slot.offer?.values], ['info', { slot: '7' }])
    assert.match(slot.say, /in slot 7 now, not 3/)
    assert.equal(rung(diagnosis, 'kms.login').verdict, 'pass')
  })

  it('is told from one of the same name, which gets no password', async () => {
    const { verdict, say, cure } = await about({ scenario: 'swapped' }, {})
    assert.equal(verdict, 'fail')
    assert.match(
      say,
      new RegExp(`The token was swapped: .* has serial .*with serial ${token.serial}\\. No password was sent`)
    )
    assert.match(cure ?? '', /restore the backup/)
    assert.equal(await logins(), 0)
  })

  it('is told among two of one name', async () => {
    const { verdict } = await about({ scenario: 'duplicate-label', config: { slot: 4 } }, {})
    assert.equal(verdict, 'pass')
  })

  it('is not left for another name, nor for a software store', async () => {
    const { verdict, say } = await about({ ask: { pin: null } }, { label: 'production' })
    assert.deepEqual([verdict, /are in production \(serial \d+\); they cannot be moved/.test(say)], ['fail', true])
    const config = { profile: 'nss', folder: join(folder, 'nss') } as const
    const nss = await diagnoseKeyStore({ config, pin: null, stateDir: join(folder, 'state-nss'), record: record() })
    assert.match(rung(nss, 'kms.identity').say, /are in HSMoDnFIPS/)
  })

  it('asks for a confirmation when its library is another file than before', async () => {
    const { verdict, cure } = await about({}, { moduleSha256: 'ab'.repeat(32) })
    assert.equal(verdict, 'warn')
    assert.match(cure ?? '', /Test, then Next confirms the new library/)
  })

  it('stops when the token has no master key, or another one', async () => {
    const masterKey = { id: '00'.repeat(16), checkValue: 'abcdef' }
    const gone = await about({}, { masterKey }, 'kms.same-master-key')
    assert.equal(gone.verdict, 'fail')
    assert.match(gone.say, /is not in HSMoDnFIPS \(serial \d+\): it was initialised again/)
  })
})

describe('the master key of this install', () => {
  it('is the one with its check value; another one under its id stops', async () => {
    const id = 'c0'.repeat(16)
    const { module, confPath, slot, label: partition, serial } = token
    const config = { profile: 'gemalto-safenet', module, confPath, slot, partition } as const
    const store = await openKeyStore(config, pin, { guard: openPinGuard(join(folder, 'state-store')) })
    const key = await store.createKey({ id, algorithm: 'AES-256', label: 'keyscaler master key' })
    const checkValue = await store.checkValue(key)
    await store.close()
    const look = async (kept: string) => {
      const known = { profile: 'gemalto-safenet', module, confPath, slot, label: partition, serial } as const
      const rest = { moduleSha256: null, folder: null, model: '', firmware: '', evidence: null }
      const record = { ...known, ...rest, masterKey: { id, checkValue: kept } }
      return rung(await diagnose({ ask: { record } }), 'kms.same-master-key')
    }
    assert.deepEqual([(await look(checkValue)).verdict, checkValue.length], ['pass', 6])
    const other = await look('000000')
    assert.equal(other.verdict, 'fail')
    assert.match(other.say, new RegExp(`a different master key under the same id: its check value is ${checkValue}`))
  })
})

describe('the software key store', () => {
  it('climbs its own ladder, and nothing of it asks for a partition', async () => {
    const config = { profile: 'nss', folder: join(folder, 'nss-new') } as const
    const stateDir = join(folder, 'state-nss-new')
    const { findings } = await diagnoseKeyStore({ config, pin: 'a long nss password', stateDir })
    const bad = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn')
    assert.deepEqual(bad, [])
    assert.deepEqual(
      findings.map(({ id }) => id),
      rungsFor(config).map(({ id }) => id)
    )
    assert.equal(
      findings.find(({ id }) => id === 'kms.slot-present'),
      undefined
    )
  })
})

describe('every rung', () => {
  it('has an id that the documentation lists, and no other is listed', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/errors.md'), 'utf8')
    const [, table = ''] = page.split('\n## Rungs of the key store\n')
    const rows = (table.split('\n## ')[0] ?? '').matchAll(/^\| `(kms\.[a-z-]+)` \| ([^|]+) \|/gm)
    const listed = [...rows].map(([, id, title]) => `${id} ${title}`)
    const profiles = ['gemalto-safenet', 'nss'] as const
    const rungs = profiles.flatMap((profile) => rungsFor({ profile }).map(({ id, title }) => `${id} ${title}`))
    assert.deepEqual(listed.toSorted(), [...new Set(rungs)].sort())
    assert.equal(listed.length, rungIds.length)
  })
})

describe('the evidence', () => {
  it('names library, token, mechanisms and times, and is what its schema says', async () => {
    const { evidence } = await diagnose({})
    const read = keyStoreEvidence.parse(JSON.parse(JSON.stringify(evidence)))
    assert.deepEqual(read, evidence)
    assert.match(evidence.module.sha256 ?? '', /^[0-9a-f]{64}$/)
    assert.deepEqual([evidence.token?.serial, evidence.token?.storage.total], [token.serial, 159744])
    assert.ok(evidence.token?.flags.includes('userPinInitialized'))
    assert.ok(evidence.mechanisms.some(({ name, use }) => name === 'CKM_ECDSA' && use !== null))
    assert.ok(evidence.times.some(({ step }) => step === 'login'))
  })
})
