import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CertificateProblem } from '../../lib/luna-client/client-certificates.ts'
import type { ClientInspection } from '../../lib/luna-client/inspect-client.ts'
import { clientTitle, remarksOn } from './hsm-client.ts'

const well: ClientInspection = {
  client: { kind: 'luna', module: '/lib/libCryptoki2_64.so', confPath: null },
  configuration: {
    library: '/lib/libCryptoki2_64.so',
    appliances: [{ name: 'hsm.example', port: 1792 }],
    cloud: null,
    haGroups: [{ label: 'group', serial: '1', members: ['2', '3'] }],
    haOnly: true,
    secureTrustedChannel: false,
    certificates: []
  },
  unreadable: false,
  certificates: [certificate(null)],
  vtl: { state: 'absent', partitions: [], words: '' },
  hsmUser: 'member'
}

function certificate(problem: CertificateProblem | null) {
  const path = '/cert/CAFile.pem'
  const dates = { subject: 'CN=hsm.example', issuer: 'CN=hsm.example', notAfter: '2030-01-02T00:00:00.000Z' }
  return { key: 'LunaSA Client.ServerCAFile', path, problem, ...dates, sha256: null }
}

const verdicts = (change: Partial<ClientInspection>) => {
  const remarks = remarksOn({ ...well, ...change })
  for (const { verdict, say, cure } of remarks) {
    assert.ok(say.endsWith('.') || say.includes(':'), say)
    assert.equal(cure === undefined, verdict === 'pass' || verdict === 'info', say)
  }
  return remarks
    .filter(({ verdict }) => verdict === 'warn' || verdict === 'fail')
    .map(({ verdict, say }) => `${verdict} ${say}`)
}

describe('an HSM client', () => {
  it('that is well has nothing against it, and says where it leads', () => {
    assert.deepEqual(verdicts({}), [])
    const said = remarksOn(well)
      .map(({ say }) => say)
      .join(' ')
    assert.match(said, /Appliance hsm\.example, port 1792\./)
    assert.match(said, /HA group "group" over 2 partitions, shown alone \(HAOnly\)\./)
    assert.match(said, /CN=hsm\.example, valid until 2030-01-02\./)
    assert.equal(clientTitle(well.client), '/lib/libCryptoki2_64.so (Chrystoki.conf in /etc)')
  })

  const problems: readonly (readonly [CertificateProblem, RegExp])[] = [
    ['not-absolute', /^fail .*no absolute path/],
    ['missing', /^fail .*is not there/],
    ['unreadable', /^fail .*cannot be read/],
    ['not-a-certificate', /^fail .*holds no certificate/],
    ['not-yet-valid', /^fail .*not valid yet/],
    ['expired', /^fail .*has expired \(2030-01-02\)/],
    ['not-issued-by', /^fail .*not issued by/],
    ['expires-soon', /^warn .*within 30 days/]
  ]
  for (const [problem, words] of problems) {
    it(`has a certificate that is ${problem}`, () => {
      const [only, ...more] = verdicts({ certificates: [certificate(problem)] })
      assert.match(only ?? '', words)
      assert.deepEqual(more, [])
    })
  }

  it('whose configuration is not there, or not for this user, says which', () => {
    assert.match(verdicts({ configuration: null })[0] ?? '', /^warn There is no \/etc\/Chrystoki\.conf/)
    const unreadable = verdicts({ configuration: null, unreadable: true, hsmUser: 'not-member' })
    assert.match(unreadable[0] ?? '', /^fail .*cannot be read by this user/)
    assert.match(unreadable[1] ?? '', /^warn .*not in the group hsmusers/)
    assert.match(verdicts({ hsmUser: 'not-in-effect' })[0] ?? '', /^fail .*session began before/)
  })

  it('whose vtl verify shows nothing, or hangs, says so with its last words', () => {
    const vtl = (state: 'none' | 'failed' | 'hung') =>
      verdicts({ vtl: { state, partitions: [], words: 'a\nno slots' } })
    assert.match(vtl('none')[0] ?? '', /^fail .*no partition: no slots$/)
    assert.match(vtl('failed')[0] ?? '', /^fail .*no partition: no slots$/)
    assert.match(vtl('hung')[0] ?? '', /^fail .*did not answer within 30 s/)
  })
})
