/** The import of a client, over the stand-in partition: its library and configuration, packed as Data Protection on Demand does. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { inspectCertificates } from './client-certificates.ts'
import { findHsmClients } from './client-discovery.ts'
import { importDpodClient } from './import-dpod-client.ts'
import { readHsmProposal } from './proposal.ts'
import { dpodZipFor, zipOf } from './testing.ts'

let home: string
let token: LunaToken
let zip: string
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'import-'))
  token = await createLunaToken(join(home, 'luna'), { pin: 'the-users-password', soPin: 'the-so-password' })
  mkdirSync(join(home, 'made'))
  zip = dpodZipFor(token, join(home, 'made'))
})
after(() => rmSync(home, { recursive: true }))

let work: string
let into: string
let stateDir: string
beforeEach(() => {
  work = mkdtempSync(join(home, 'work-'))
  into = join(work, 'dpod')
  stateDir = join(work, 'state')
})
afterEach(() => rmSync(work, { recursive: true }))

const importIt = (source = zip, to: string | undefined = into) => importDpodClient({ source, into: to, stateDir })
const conf = (folder = into) => parseChrystokiConf(readFileSync(join(folder, 'Chrystoki.conf'), 'utf8'))

/** Every file with its time of change: what a run that changes nothing leaves alone. */
function everything(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => `${name} ${statSync(join(folder, name)).mtimeMs} ${statSync(join(folder, name)).size}`)
    .sort()
}

describe('a client of Data Protection on Demand', () => {
  it('is unpacked from its zip, its paths put right, its partition found and proposed, without a login', async () => {
    const client = await importIt()
    assert.equal(client.changed, true)
    assert.equal(client.library, join(into, 'libs/64/libCryptoki2.so'))
    assert.equal(conf().get('Chrystoki2')?.get('LibUNIX64'), client.library)
    assert.equal(conf().get('Misc')?.get('PluginModuleDir'), join(into, 'libs/64/plugins'))
    assert.deepEqual(client.configuration.cloud, { name: 'eu.hsm.example', port: 443 })
    assert.deepEqual(
      client.certificates.map(({ key, problem }) => [key, problem]),
      [
        ['REST.SSLClientSideVerifyFile', null],
        ['XTC.PartitionCAPath', null],
        ['XTC.PartitionCertPath00', null]
      ]
    )
    assert.deepEqual(
      client.seen.slots.map(({ slot, label, serial }) => ({ slot, label, serial })),
      [{ slot: 3, label: 'HSMoDnFIPS', serial: token.serial }]
    )
    const { at, ...proposal } = (await readHsmProposal(stateDir)) ?? assert.fail('no proposal')
    const expected = { library: client.library, confPath: into, slot: 3, partition: 'HSMoDnFIPS', serial: token.serial }
    assert.deepEqual(proposal, expected)
    assert.ok(!Number.isNaN(Date.parse(at)))
    const environment = readFileSync(join(stateDir, 'hsm-client.env'), 'utf8')
    assert.equal(environment, `ChrystokiConfigurationPath="${into}"\n`)
    assert.equal((await readLunaState(token.confPath)).logins, 0)
    assert.partialDeepStrictEqual(await findHsmClients({ lunaLibrary: '/absent', dpodFolder: into, confFolders: [] }), [
      { kind: 'dpod', module: client.library, confPath: into }
    ])
  })

  it('lies there for its owner only where it may hold a secret, and runs where it must', async () => {
    await importIt()
    const mode = (name: string) => (statSync(join(into, name)).mode & 0o777).toString(8)
    assert.deepEqual(
      ['Chrystoki.conf', 'server-certificate.pem', 'bin/64/lunacm', 'libs/64/libCryptoki2.so', 'bin'].map(mode),
      ['600', '644', '755', '755', '755']
    )
    assert.deepEqual(readdirSync(into).sort(), [
      '.keyscaler-client.json',
      'Chrystoki.conf',
      'bin',
      'crystoki-template.ini',
      'etc',
      'libs',
      'partition-ca-certificate.pem',
      'partition-certificate.pem',
      'server-certificate.pem',
      'setenv'
    ])
    assert.equal(readFileSync(join(into, 'libs/64/libCryptoki2_64.so')).length > 1000, true)
  })

  const notRoot = process.getuid?.() === 0 ? false : 'only root may give files away'
  it('imported by root can be read by the wizard that runs as somebody else', { skip: notRoot }, async () => {
    mkdirSync(stateDir, { mode: 0o700 })
    chownSync(stateDir, 4242, 4243)
    await importIt()
    const conf = statSync(join(into, 'Chrystoki.conf'))
    assert.deepEqual([conf.uid, conf.gid, (conf.mode & 0o777).toString(8)], [0, 4243, '640'])
    const proposal = statSync(join(stateDir, 'hsm-client.json'))
    assert.deepEqual([proposal.uid, (proposal.mode & 0o777).toString(8)], [4242, '600'])
  })

  it('is left as it is by the same import again', async () => {
    await importIt()
    const before = [everything(into), everything(stateDir)]
    const again = await importIt()
    assert.deepEqual([again.changed, again.files], [false, []])
    assert.deepEqual([everything(into), everything(stateDir)], before)
  })

  it('that was set up the guide’s way is taken as it lies there', async () => {
    mkdirSync(into)
    execFileSync('python3', ['-m', 'zipfile', '-e', zip, into])
    execFileSync('tar', ['-C', into, '-xf', join(into, 'cvclient-min.tar')])
    const client = await importDpodClient({ source: into, stateDir })
    assert.deepEqual(client.files, ['Chrystoki.conf'])
    assert.equal(client.seen.slots[0]?.serial, token.serial)
    assert.equal((await importDpodClient({ source: into, stateDir })).changed, false)
    assert.equal((await importIt()).changed, false)
  })

  it('that is only unzipped is unpacked where it lies', async () => {
    mkdirSync(into)
    execFileSync('python3', ['-m', 'zipfile', '-e', zip, into])
    const client = await importDpodClient({ source: into, stateDir })
    assert.ok(client.files.includes('libs/64/libCryptoki2.so') && client.files.includes('Chrystoki.conf'))
    assert.equal(client.proposal.slot, 3)
  })

  it('keeps what an administrator wrote into its configuration', async () => {
    await importIt()
    appendFileSync(join(into, 'Chrystoki.conf'), 'CardReader = { LunaG5Slots = 0; }\n')
    assert.equal((await importIt()).changed, false)
    assert.equal(conf().get('CardReader')?.get('LunaG5Slots'), '0')
  })

  it('does not replace files of others: it names them, and writes nothing', async () => {
    mkdirSync(join(into, 'etc'), { recursive: true })
    writeFileSync(join(into, 'Chrystoki.conf'), 'REST = { ServerName = another.example; }')
    writeFileSync(join(into, 'etc/openssl.cnf'), 'mine')
    const before = everything(into)
    await assert.rejects(importIt(), { code: 'conflict', message: /\(Chrystoki\.conf, etc\/openssl\.cnf\); nothing/ })
    assert.deepEqual(everything(into), before)
    assert.deepEqual(readdirSync(into).sort(), ['Chrystoki.conf', 'etc'])
  })

  it('is not written through a link that lies in its way', async () => {
    mkdirSync(into)
    mkdirSync(join(work, 'elsewhere'))
    symlinkSync(join(work, 'elsewhere'), join(into, 'libs'))
    await assert.rejects(importIt(), { code: 'conflict' })
    assert.deepEqual(readdirSync(join(work, 'elsewhere')), [])
  })

  it('replaces what an earlier import wrote and nobody changed', async () => {
    await importIt()
    const other = join(work, 'other')
    cpSync(into, other, { recursive: true, verbatimSymlinks: true })
    writeFileSync(join(other, 'setenv'), '# newer\n')
    assert.deepEqual((await importIt(other)).files, ['setenv'])
    writeFileSync(join(into, 'setenv'), '# edited\n')
    await assert.rejects(importIt(other), { code: 'conflict', message: /\(setenv\)/ })
  })

  it('is refused whole when the zip holds none, or one for another machine', async () => {
    const bad = join(work, 'bad.zip')
    writeFileSync(bad, zipOf([{ name: 'readme.txt', content: 'x' }]))
    await assert.rejects(importIt(bad), { code: 'invalid-input', message: /no Chrystoki\.conf/ })
    writeFileSync(bad, zipOf([{ name: 'Chrystoki.conf', content: 'x' }]))
    await assert.rejects(importIt(bad), { code: 'invalid-input', message: /no Linux client/ })
    const library = readFileSync(token.module)
    library[18] = 183
    const entries = [{ name: 'Chrystoki.conf' }, { name: 'libs/64/libCryptoki2.so', content: library }]
    writeFileSync(bad, zipOf(entries))
    await assert.rejects(importIt(bad), { code: 'check-failed', message: /AArch64/ })
    await assert.rejects(importIt(join(work, 'absent.zip')), { code: 'invalid-input', message: /There is no/ })
    assert.equal(existsSync(into), false)
    assert.equal(existsSync(stateDir), false)
  })

  it('is not put where its path could not be written down', async () => {
    await assert.rejects(importIt(zip, join(work, 'a;b')), { code: 'invalid-input' })
    await assert.rejects(importIt(zip, 'relative'), { code: 'invalid-input' })
  })
})

describe('the certificates of a client', () => {
  const places = (folder: string) => [
    { key: 'ca', path: join(folder, 'partition-ca-certificate.pem'), issuedBy: null },
    { key: 'partition', path: join(folder, 'partition-certificate.pem'), issuedBy: 'ca' },
    { key: 'server', path: join(folder, 'server-certificate.pem'), issuedBy: 'ca' }
  ]
  const inDays = (days: number) => new Date(Date.now() + days * 24 * 3600 * 1000)
  const problems = async (now?: Date) =>
    (await inspectCertificates(places(join(home, 'made')), now)).map(({ problem }) => problem)

  it('are read: dates, and who issued them', async () => {
    assert.deepEqual(await problems(), [null, null, 'not-issued-by'])
    assert.deepEqual(await problems(inDays(80)), ['expires-soon', 'expires-soon', 'not-issued-by'])
    assert.deepEqual(await problems(inDays(101)), ['expired', 'expired', 'expired'])
    assert.deepEqual(await problems(inDays(-2)), ['not-yet-valid', 'not-yet-valid', 'not-yet-valid'])
  })

  it('are not taken for issued by a CA whose name they only carry', async () => {
    cpSync(join(home, 'made'), work, { recursive: true })
    const path = join(work, 'partition-certificate.pem')
    const { raw } = new X509Certificate(readFileSync(path))
    raw[raw.length - 1] = (raw.at(-1) ?? 0) ^ 1
    writeFileSync(path, new X509Certificate(raw).toString())
    const [, partition] = await inspectCertificates(places(work))
    assert.equal(partition?.problem, 'not-issued-by')
  })

  it('may be missing, or none', async () => {
    writeFileSync(join(work, 'server-certificate.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')
    const facts = await inspectCertificates([...places(work), { key: 'relative', path: './x.pem', issuedBy: null }])
    assert.deepEqual(
      facts.map(({ problem }) => problem),
      ['missing', 'missing', 'not-a-certificate', 'not-absolute']
    )
  })
})
