import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startTimeOf } from '../process/start-time.ts'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { clientConfiguration } from './client-configuration.ts'
import type { HsmClient } from './client-discovery.ts'
import { hsmUserState } from './hsm-users.ts'
import { inspectClient } from './inspect-client.ts'
import { runVtlVerify } from './vtl-verify.ts'

let root: string
let client: HsmClient
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'client-'))
  client = { kind: 'luna', module: join(root, 'lib/libCryptoki2_64.so'), confPath: join(root, 'etc') }
})
afterEach(() => rmSync(root, { recursive: true }))

function put(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content, { mode })
}

const vtl = (script: string) => put('bin/vtl', `#!/bin/sh\n${script}\n`, 0o755)

describe('vtl verify', { timeout: 20_000 }, () => {
  it('is absent where the client has none', async () => {
    assert.deepEqual(await runVtlVerify(client), { state: 'absent', partitions: [], words: '' })
  })

  it('is run with the folder of Chrystoki.conf, and read', async () => {
    vtl(`[ "$1" = verify ] && [ "$#" = 1 ] || exit 9
      echo "The following Luna SA Slots/Partitions were found:"
      echo "   3   1285296213941   $(basename "$ChrystokiConfigurationPath")"`)
    const { state, partitions } = await runVtlVerify(client)
    assert.equal(state, 'partitions')
    assert.deepEqual(
      partitions.map(({ slot, serial, label }) => [slot, serial, label]),
      [[3, '1285296213941', 'etc']]
    )
  })

  it('that finds none, fails, or hangs is told apart; what hangs is ended with all that it started', async () => {
    vtl('echo "Error: Unable to find any Luna SA Slots/Partitions."; exit 1')
    assert.equal((await runVtlVerify(client)).state, 'none')
    vtl('echo "no configuration" >&2; exit 1')
    assert.partialDeepStrictEqual(await runVtlVerify(client), { state: 'failed', words: 'no configuration' })
    vtl(`sleep 100 & echo $! > ${join(root, 'child')}; sleep 100`)
    assert.equal((await runVtlVerify(client, 500)).state, 'hung')
    const child = Number(readFileSync(join(root, 'child'), 'utf8'))
    while (startTimeOf(child) !== null) await pause(10)
  })
})

describe('hsmusers', () => {
  const passwd = 'root:x:0:0::/root:/bin/sh\nkeyscaler:x:990:990::/:/bin/false\nother:x:991:991::/:/bin/false\n'
  const group = 'root:x:0:\nhsmusers:x:500:someone,keyscaler\n'

  it('has members by name, by first group, and as the process has it', () => {
    assert.equal(hsmUserState({ passwd, group: 'root:x:0:' }, 990), 'no-group')
    assert.equal(hsmUserState({ passwd, group }, 0), 'root')
    assert.equal(hsmUserState({ passwd, group }, 990), 'member')
    assert.equal(hsmUserState({ passwd, group }, 990, [990, 500]), 'member')
    assert.equal(hsmUserState({ passwd, group }, 990, [990]), 'not-in-effect')
    assert.equal(hsmUserState({ passwd, group }, 991), 'not-member')
    assert.equal(hsmUserState({ passwd: passwd.replace('991:991', '991:500'), group }, 991), 'member')
  })
})

describe('a Luna client', () => {
  const conf = `Chrystoki2 = { LibUNIX64 = /usr/safenet/lunaclient/lib/libCryptoki2_64.so; }
    LunaSA Client = {
      ServerName00 = hsm-a.example; ServerPort00 = 1792;
      ServerName01 = hsm-b.example; ServerPort01 = nonsense;
      ServerCAFile = /absent/CAFile.pem;
    }
    VirtualToken = {
      VirtualToken00Label = group; VirtualToken00SN = 11285296213941;
      VirtualToken00Members = 1285296213941, 1285296213942;
    }
    HAConfiguration = { HAOnly = 1; }`

  it('says where it leads: appliances, HA groups, certificates', () => {
    const facts = clientConfiguration(parseChrystokiConf(conf))
    assert.deepEqual(facts, {
      library: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so',
      appliances: [
        { name: 'hsm-a.example', port: 1792 },
        { name: 'hsm-b.example', port: 1792 }
      ],
      cloud: null,
      haGroups: [{ label: 'group', serial: '11285296213941', members: ['1285296213941', '1285296213942'] }],
      haOnly: true,
      secureTrustedChannel: false,
      certificates: [{ key: 'LunaSA Client.ServerCAFile', path: '/absent/CAFile.pem', issuedBy: null }]
    })
  })

  it('is looked at as a whole, whatever is missing of it', async () => {
    const nothing = await inspectClient(client)
    assert.deepEqual([nothing.configuration, nothing.unreadable, nothing.certificates], [null, false, []])
    put('etc/Chrystoki.conf', conf)
    const found = await inspectClient(client)
    assert.equal(found.configuration?.haOnly, true)
    assert.deepEqual(
      found.certificates.map(({ problem }) => problem),
      ['missing']
    )
  })
})
