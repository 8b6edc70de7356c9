/** The probe is what the KMS will be: same user, same groups, same environment. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readLunaEnvironment, setLunaFaults } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import type { KeyStoreConfig } from './keystore.ts'
import { openKeyStore } from './open-key-store.ts'
import { openPinGuard } from './pin-guard.ts'
import { probeToken } from './probe.ts'

const nobody = { uid: 65534, gid: 65534 }
const mayBecome = process.getuid?.() === 0 ? false : 'only root may become another user'

const folder = mkdtempSync(join(tmpdir(), 'runs-as-'))
const lunaFolder = join(folder, 'luna')
const pin = 'crypto-officer-1'
let token: LunaToken
let config: KeyStoreConfig
before(async () => {
  token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
  const { module, confPath, slot, label } = token
  config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label }
})
after(() => rmSync(folder, { recursive: true }))

function giveTo(path: string, { uid, gid }: { uid: number; gid: number }): void {
  chownSync(path, uid, gid)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) giveTo(join(path, entry.name), { uid, gid })
    else chownSync(join(path, entry.name), uid, gid)
  }
}

describe('a probe for a KMS of another user', { skip: mayBecome }, () => {
  it('finds what is closed to him, though the wizard could read it', async () => {
    chmodSync(folder, 0o755)
    chmodSync(lunaFolder, 0o700)
    assert.equal((await probeToken(config)).stopped, null)
    const facts = await probeToken(config, { runAs: nobody })
    assert.deepEqual([facts.ranAs?.uid, facts.ranAs?.gid, facts.ranAs?.user], [65534, 65534, 'nobody'])
    assert.deepEqual([facts.stopped?.step, facts.stopped?.why], ['initialize', 'refused'])
  })

  it('sees the token when it is his, with his groups and none of ours', async () => {
    giveTo(lunaFolder, nobody)
    const { stopped, ranAs, slots } = await probeToken(config, { runAs: nobody })
    giveTo(lunaFolder, { uid: 0, gid: 0 })
    assert.equal(stopped, null)
    assert.deepEqual(ranAs?.groups, [65534])
    assert.equal(slots[0]?.serial, token.serial)
  })

  it('tries a software store that does not exist yet in a folder that he may use', async () => {
    const facts = await probeToken({ profile: 'nss', folder: join(folder, 'nss') }, { runAs: nobody })
    assert.deepEqual([facts.stopped, facts.ranAs?.user], [null, 'nobody'])
  })
})

describe('probe and agent', () => {
  /** What the kernel says of the child that runs `program`: user and groups. */
  function child(program: string): string {
    const own = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ')
    const pid = own.find((candidate) => readFileSync(`/proc/${candidate}/cmdline`, 'utf8').includes(program))
    assert.ok(pid !== undefined, program)
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return [/^Uid.*\nGid.*$/m.exec(status)?.[0], /^Groups.*$/m.exec(status)?.[0]].join('\n')
  }

  /** As the library found it. Node tells its children of the channel to them, and an agent has who started it. */
  async function environment(): Promise<readonly string[]> {
    const all = await readLunaEnvironment(lunaFolder)
    return all.filter((line) => !line.startsWith('NODE_CHANNEL') && !line.startsWith('KEYSCALER_STARTED_BY='))
  }

  it('load the library in the same environment and as the same user', async () => {
    await setLunaFaults(lunaFolder, 'C_Initialize=environment; C_Initialize=hang')
    const seen: string[] = []
    await probeToken(config, {
      deadlineMs: 1_500,
      onStep: (step) => step === 'initialize' && seen.push(child('probe-child'))
    })
    const ofProbe = await environment()
    await assert.rejects(
      openKeyStore(config, pin, {
        guard: openPinGuard(join(folder, 'state')),
        openDeadlineMs: 1_500,
        onStep: (step) => step === 'initialize' && seen.push(child('agent'))
      })
    )
    await setLunaFaults(lunaFolder, '')
    assert.equal(seen.length, 2)
    assert.equal(seen[1], seen[0])
    assert.ok(ofProbe.includes(`ChrystokiConfigurationPath=${token.confPath}`))
    assert.deepEqual(await environment(), ofProbe)
  })
})
