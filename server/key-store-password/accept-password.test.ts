import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { recordKeyStore } from '../checks/key-store/key-store-record.ts'
import type { ServiceStatus } from '../deploy/target.ts'
import { acceptPassword } from './accept-password.ts'

const folder = mkdtempSync(join(tmpdir(), 'accept-password-'))
after(() => rmSync(folder, { recursive: true }))
const stateDir = join(folder, 'state')
const pin = 'crypto-officer-1'
const silent = () => {}
let token: LunaToken
let module: string

const logins = async () => (await readLunaState(token.confPath)).logins
const accept = (password: string, startKms: () => Promise<ServiceStatus>) =>
  acceptPassword({ stateDir, pin: password, startKms }, silent)
const never = () => Promise.reject(new Error('the KMS must not be started'))
const kept = () => readFileSync(join(stateDir, 'credentials', 'kms-password'), 'utf8')

before(async () => {
  token = await createLunaToken(join(folder, 'luna'), { pin, soPin: 'partition-so-1' })
  mkdirSync(join(stateDir, 'credentials'), { recursive: true, mode: 0o700 })
  module = join(folder, 'libCryptoki2_64.so')
  copyFileSync(token.module, module)
})

test('without a key store on record there is nothing to take a password for', async () => {
  await assert.rejects(accept(pin, never), { code: 'out-of-order' })
})

test('a wrong password is not kept, and starts nothing', async () => {
  const { confPath, slot, label, serial } = token
  const config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial } as const
  const identity = { slot, label, serial, model: 'Cryptovisor7', manufacturer: 'Safenet, Inc.', firmware: '7.1' }
  await recordKeyStore(stateDir, config, identity, null)
  const outcome = await accept('not-the-password', never)
  assert.equal(outcome.accepted, false)
  assert.equal(outcome.findings.find(({ id }) => id === 'kms.login')?.verdict, 'fail')
  assert.deepEqual([readdirSync(join(stateDir, 'credentials')), await logins()], [[], 1])
})

test('the right one is kept before the KMS is started, and stays kept when that fails', async () => {
  let seen = ''
  const outcome = await accept(pin, () => {
    seen = kept()
    return Promise.reject(new AppError('deploy-failed', 'no room'))
  })
  assert.ok(outcome.accepted && outcome.kms instanceof AppError)
  assert.deepEqual([seen, kept(), outcome.kms.message, await logins()], [pin, pin, 'no room', 2])
})

test('a library that was swapped gets no password', async () => {
  writeFileSync(module, Buffer.concat([readFileSync(token.module), Buffer.from('another')]))
  await assert.rejects(accept(pin, never), { code: 'conflict' })
  assert.equal(await logins(), 2)
})
