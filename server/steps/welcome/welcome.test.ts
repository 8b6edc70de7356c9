import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostSeen } from '../../checks/host.ts'
import { surroundings, verdicts } from '../../checks/testing.ts'
import { stateFolder } from '../testing.ts'
import { hostLadder } from './checks.ts'
import { hostRow, hostTable, unsupported } from './host-table.ts'
import { welcomeStep } from './step.ts'

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
const client = { kind: 'luna', module: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so', confPath: null } as const
const verdict = (id: Parameters<typeof hostRow>[0], over: Partial<HostSeen>, clients = [client]) =>
  hostRow(id, { host: { ...host, ...over }, clients }).verdict

test('the terms must be accepted, by form or by script', () => {
  for (const raw of [{}, { acceptTerms: '' }, { acceptTerms: 'off' }, { acceptTerms: false }]) {
    const parsed = welcomeStep.parse(raw)
    assert.deepEqual(parsed.ok ? {} : parsed.fields, { acceptTerms: 'You must accept the terms to continue.' })
  }
  for (const acceptTerms of ['on', 'yes', true]) assert.ok(welcomeStep.parse({ acceptTerms }).ok)
})

test("the guide's minimum is met or told, and nothing here blocks", async () => {
  const { findings } = await verdicts(hostLadder, {}, { ...surroundings, stateDir: stateFolder() })
  assert.deepEqual(
    findings.map(({ id }) => id),
    await welcomeStep.checkIds()
  )
  for (const { id, verdict: seen, say } of findings) assert.match(seen, /^(pass|info)$/, `${id}: ${say}`)
})

test('a state folder that is not there yet is measured by the folder above', async () => {
  const table = await hostTable('/var/lib/not-made-yet/keyscaler')
  assert.match(table.find(({ id }) => id === 'disk')?.found ?? '', /^\d+ GB, \d+ GB free$/)
})

test('a machine sold with 32 GB and 1 TB meets the minimum, half of it does not', () => {
  assert.equal(verdict('memory', {}), 'pass')
  assert.equal(verdict('memory', { memory: 15.6 }), 'info')
  assert.equal(verdict('cores', { cores: 2 }), 'info')
  assert.equal(verdict('disk', { disk: { total: 500, free: 400 } }), 'info')
  assert.equal(verdict('processor', { machine: 'arm64' }), 'info')
})

test('the systems that we run on are known by name and version', () => {
  const system = (id: string, version: number, like: string[] = []) =>
    verdict('system', { distribution: { id, like, version } })
  assert.equal(system('debian', 12), 'pass')
  assert.equal(system('ubuntu', 22.04, ['debian']), 'pass')
  assert.equal(system('rocky', 9.4, ['rhel', 'centos', 'fedora']), 'pass')
  assert.equal(system('centos', 7, ['rhel', 'fedora']), 'info')
  assert.equal(system('debian', 11), 'info')
})

test('only a platform on which nothing runs is refused: EL7, and what is not x86-64', () => {
  const centos7 = { id: 'centos', like: ['rhel', 'fedora'], version: 7 }
  assert.match(unsupported('system', { ...host, distribution: centos7 }) ?? '', /glibc 2\.17/)
  for (const [id, version] of [
    ['rocky', 9.4],
    ['debian', 11],
    ['arch', 0]
  ] as const) {
    const like = id === 'rocky' ? ['rhel', 'centos', 'fedora'] : []
    assert.equal(unsupported('system', { ...host, distribution: { id, like, version } }), null, id)
  }
  assert.equal(unsupported('processor', { ...host, machine: 'arm64' }), 'arm64 is not x86-64.')
  assert.equal(unsupported('cores', { ...host, cores: 1, machine: 'arm64' }), null)
})

test('a clock that nobody knows about is not called wrong, and a user outside hsmusers is told', () => {
  const row = (over: Partial<HostSeen>, id: Parameters<typeof hostRow>[0]) =>
    hostRow(id, { host: { ...host, ...over }, clients: [client] }).found
  assert.equal(row({ clockSynchronised: null }, 'clock'), 'not to be found out here')
  assert.equal(row({ clockSynchronised: false }, 'clock'), 'not synchronised')
  assert.match(row({ hsmUser: false }, 'hsm-client'), /this user is not in the group hsmusers/)
  assert.equal(verdict('hsm-client', {}, []), 'info')
})
