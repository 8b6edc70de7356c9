/** Looks at the services' own ports by listening on them: @fixed-ports. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ClientInspection } from '../../../lib/luna-client/inspect-client.ts'
import type { Finding } from '../../checks/check.ts'
import type { HostSeen } from '../../checks/host.ts'
import { judgeLadder } from '../../checks/ladder-judge.ts'
import { surroundings } from '../../checks/testing.ts'
import { stateFolder } from '../../steps/testing.ts'
import { hostRungs } from './host-ladder.ts'
import { hsmRungs } from './hsm-ladder.ts'
import { portLadder } from './ports.ts'
import { runPreflight } from './preflight.ts'
import { stateFolderCheck } from './state-folder.ts'

const host: HostSeen = {
  system: 'Debian GNU/Linux 12 (bookworm)',
  distribution: { id: 'debian', like: [], version: 12 },
  kernel: '6.1',
  machine: 'x86_64',
  cores: 8,
  memory: 31.3,
  disk: { total: 1000, free: 900 },
  clockSynchronised: true,
  hsmUser: null
}
const troubles = (findings: readonly Finding[]) =>
  findings.filter(({ verdict }) => verdict !== 'pass').map(({ id, verdict }) => `${id} ${verdict}`)
const onHost = (over: Partial<HostSeen>) => troubles(judgeLadder(hostRungs, { ...host, ...over }, 0, {}))

test("the guide's machine passes; a smaller one is told, and one on which nothing runs fails", () => {
  assert.deepEqual(onHost({}), [])
  assert.deepEqual(onHost({ cores: 2, memory: 7.7 }), ['preflight.cores info', 'preflight.memory info'])
  assert.deepEqual(onHost({ memory: 1.9 }), ['preflight.memory warn'])
  assert.deepEqual(onHost({ disk: { total: 1000, free: 1.5 } }), ['preflight.disk fail'])
  assert.deepEqual(onHost({ disk: { total: 1000, free: 15 } }), ['preflight.disk warn'])
  assert.deepEqual(onHost({ clockSynchronised: false }), ['preflight.clock warn'])
  assert.deepEqual(onHost({ clockSynchronised: null }), ['preflight.clock info'])
  const seven = { id: 'centos', like: ['rhel', 'fedora'], version: 7 }
  assert.deepEqual(onHost({ distribution: seven }).slice(0, 1), ['preflight.system fail'])
  assert.deepEqual(onHost({ distribution: { id: 'arch', like: [], version: 0 } }), ['preflight.system warn'])
})

test('a port that another program has is named with a way round it', async () => {
  const taken = createServer().listen(9445, '0.0.0.0')
  // Somebody has it already: as good.
  await new Promise((resolve) => taken.once('listening', resolve).once('error', resolve))
  try {
    const findings = await portLadder.run(stateFolder(), surroundings, {})
    const mqs = findings.find(({ id }) => id === 'preflight.port-mqs')
    assert.equal(mqs?.verdict, 'warn')
    assert.match(mqs?.cure ?? '', /ss -ltnp sport = :9445/)
    assert.equal(findings.length, 5)
  } finally {
    taken.close()
  }
})

test('of several HSM clients the worst word counts, and every cure stands once', () => {
  const inspection = (state: 'none' | 'partitions'): ClientInspection => ({
    client: { kind: 'luna', module: '/usr/lib/a.so', confPath: null },
    configuration: null,
    unreadable: true,
    certificates: [],
    vtl: { state, partitions: [], words: '' },
    hsmUser: 'not-member'
  })
  const found = judgeLadder(hsmRungs, [inspection('partitions'), inspection('none')], 0, {})
  assert.deepEqual(
    found.map(({ verdict }) => verdict),
    ['pass', 'fail', 'fail', 'warn']
  )
  assert.equal(found[3]?.cure, 'Run `usermod --append --groups hsmusers <user>`, then start the wizard anew.')
  assert.deepEqual(
    judgeLadder(hsmRungs, [], 0, {}).map(({ verdict }) => verdict),
    ['info', 'skip', 'skip', 'skip']
  )
})

test('the state folder: to be made, ours, open to others, a file, or with the traces of an install', async () => {
  const root = stateFolder()
  const verdictOf = async (folder: string) => (await stateFolderCheck.run(folder, surroundings, {}))[0]
  assert.match((await verdictOf(join(root, 'a/b')))?.say ?? '', /can be made\.$/)
  const open = join(root, 'open')
  mkdirSync(open)
  chmodSync(open, 0o755)
  assert.deepEqual([(await verdictOf(open))?.verdict, (await verdictOf(open))?.cure], ['warn', `chmod 700 ${open}`])
  chmodSync(open, 0o700)
  assert.equal((await verdictOf(open))?.verdict, 'pass')
  mkdirSync(join(open, 'credentials'))
  assert.match((await verdictOf(open))?.say ?? '', /its boot file is missing/)
  writeFileSync(join(root, 'file'), '')
  assert.equal((await verdictOf(join(root, 'file')))?.verdict, 'fail')
  assert.equal((await verdictOf(join(root, 'file', 'deeper')))?.verdict, 'fail')
})

test('a real look tells every check once, each with a cure where it is needed, and leaves nothing behind', async () => {
  const folder = stateFolder()
  const before = readdirSync(folder)
  const told: string[] = []
  const findings = await runPreflight(join(folder, 'state'), { finding: ({ id }) => told.push(id) })
  assert.deepEqual(told.toSorted(), findings.map(({ id }) => id).toSorted())
  assert.equal(new Set(told).size, told.length)
  assert.ok(told.length >= 19, `${told.length} findings`)
  for (const { id, verdict, cure = '' } of findings) {
    assert.match(id, /^preflight\./)
    if (verdict === 'fail' || verdict === 'warn') assert.ok(cure.length > 10, id)
  }
  assert.deepEqual(readdirSync(folder), before)
})
