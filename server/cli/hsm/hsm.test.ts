/** `keyscaler hsm` from outside: from the zip to a checked partition, over the stand-in, and what it says and costs. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { dpodZipFor } from '../../../lib/luna-client/testing.ts'
import { readLunaState, setLunaFaults, setLunaState } from '../../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../../sandbox/luna/token.ts'

const pin = 'the-crypto-officers-password'
const cli = join(import.meta.dirname, '../../cli.mjs')
const softHsm = '/usr/lib/softhsm/libsofthsm2.so'

let home: string
let token: LunaToken
let zip: string
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'hsm-cli-'))
  token = await createLunaToken(join(home, 'luna'), { pin, soPin: 'the-so-password' })
  mkdirSync(join(home, 'made'))
  zip = dpodZipFor(token, join(home, 'made'))
})
after(() => rmSync(home, { recursive: true }))

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(args: readonly string[], input = '', environment: Record<string, string> = {}): Promise<Ran> {
  return await started(process.execPath, [cli, 'hsm', ...args], input, environment)
}

async function started(
  program: string,
  args: readonly string[],
  input: string,
  more: Record<string, string>
): Promise<Ran> {
  const env = { PATH: process.env.PATH, HOME: home, ...more }
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

const partition = z.object({ slot: z.number(), label: z.string(), serial: z.string() })
const imported = z.object({ changed: z.boolean(), slot: z.number(), partition: z.string(), serial: z.string() })
const listed = z.object({ clients: z.array(z.object({ library: z.string(), partitions: z.array(partition) })) })
const checked = z.object({
  verdict: z.enum(['pass', 'fail']),
  findings: z.array(z.object({ id: z.string(), verdict: z.string(), say: z.string() })),
  evidence: z.object({ loggedIn: z.boolean(), token: partition.nullable() })
})

async function logins(): Promise<{ logins: number; rejections: number }> {
  const { logins: sent, rejections } = await readLunaState(token.confPath)
  return { logins: sent, rejections }
}

describe('keyscaler hsm', { concurrency: 1, timeout: 240_000 }, () => {
  let state: readonly string[]
  let library: string
  before(() => {
    state = ['--state', join(home, 'state')]
    library = join(home, 'dpod/libs/64/libCryptoki2.so')
  })

  it('import sets up a downloaded client, says so once, and changes nothing the second time', async () => {
    const args = ['import', zip, '--into', join(home, 'dpod'), '--output', 'json', ...state]
    const first = await run(args)
    assert.equal(first.code, 0, first.stderr)
    const expected = { slot: 3, partition: 'HSMoDnFIPS', serial: token.serial }
    assert.deepEqual(imported.parse(JSON.parse(first.stdout)), { changed: true, ...expected })
    assert.doesNotMatch(first.stdout + first.stderr, /the-secret-of-the-client/)
    const second = await run(args)
    assert.deepEqual([second.code, imported.parse(JSON.parse(second.stdout)).changed], [0, false])
  })

  it('list and show print it, without a login', async () => {
    const list = await run(['list', ...state])
    assert.match(list.stdout, new RegExp(`Serial Number -> +${token.serial}\\n +Model -> +Cryptovisor7\\n`))
    const json = listed.parse(JSON.parse((await run(['list', '--output', 'json', ...state])).stdout))
    assert.deepEqual(json.clients[0], {
      library,
      partitions: [{ slot: 3, label: 'HSMoDnFIPS', serial: token.serial }]
    })
    const show = await run(['show', ...state])
    assert.equal(show.code, 0, show.stderr)
    assert.match(show.stdout, /Partition Label -> +HSMoDnFIPS\n/)
    assert.match(show.stdout, /Total Storage Space: +159744\n/)
    assert.match(show.stdout, /HSM firmware +tested: 7\.0\.1; yours: 7\.1\n/)
    assert.match(show.stdout, /XTC\.PartitionCertPath00: CN=partition, valid until/)
    assert.deepEqual(await logins(), { logins: 0, rejections: 0 })
  })

  it('check --no-login goes up to the login; what was printed can be piped into it', async () => {
    const { stdout, code } = await run(['check', '--no-login', '--output', 'json', ...state])
    const { verdict, findings } = checked.parse(JSON.parse(stdout))
    assert.deepEqual([code, verdict], [0, 'pass'])
    assert.equal(findings.find(({ id }) => id === 'kms.login')?.verdict, 'skip')
    const printed = (await run(['list', ...state])).stdout
    const pasted = await run(
      ['check', '-', '--output', 'json', '--library', library, '--conf-path', join(home, 'dpod'), ...state],
      printed
    )
    assert.equal(pasted.code, 0, pasted.stderr)
    assert.equal(checked.parse(JSON.parse(pasted.stdout)).evidence.token?.serial, token.serial)
    assert.equal((await run(['check', '-', ...state], 'not of lunacm')).code, 3)
    assert.deepEqual(await logins(), { logins: 0, rejections: 0 })
  })

  it('check takes the password from stdin or a file of its owner, logs in once, and shows it nowhere', async () => {
    const report = join(home, 'report.json')
    const piped = await run(['check', '--output', 'json', '--report', report, ...state], `${pin}\n`)
    const { verdict, evidence } = checked.parse(JSON.parse(piped.stdout))
    assert.deepEqual([piped.code, verdict, evidence.loggedIn], [0, 'pass', true], piped.stdout)
    const file = join(home, 'password')
    writeFileSync(file, `${pin}\n`, { mode: 0o644 })
    assert.equal((await run(['check', '--password-file', file, ...state])).code, 3)
    rmSync(file)
    writeFileSync(file, `${pin}\n`, { mode: 0o600 })
    const filed = await run(['check', '--password-file', file, ...state])
    assert.equal(filed.code, 0, filed.stdout)
    assert.deepEqual(await logins(), { logins: 2, rejections: 0 })
    const said = piped.stdout + piped.stderr + filed.stdout + filed.stderr + readFileSync(report, 'utf8')
    assert.ok(!said.includes(pin))
    assert.doesNotMatch(filed.stdout, /[^\P{Cc}\n]/u)
    assert.match(
      filed.stdout,
      new RegExp(`\\n\\nKeyScaler can use HSMoDnFIPS \\(slot 3, serial ${token.serial}\\)\\.\\n$`)
    )
  })

  it('check --report leaves no name or serial number in the report, and only its owner may read it', () => {
    const report = join(home, 'report.json')
    const content = readFileSync(report, 'utf8')
    assert.equal(statSync(report).mode & 0o777, 0o600)
    for (const name of [token.serial, 'HSMoDnFIPS', home, 'eu.hsm.example']) assert.ok(!content.includes(name), name)
    assert.match(content, /"kms\.login"/)
    assert.match(content, /CKM_AES_GCM/)
  })

  it('check asks on a terminal without showing what is typed', async () => {
    const command = `${process.execPath} ${cli} hsm check ${state.join(' ')}`
    const env = { PATH: process.env.PATH, HOME: home }
    const child = spawn('script', ['-qec', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'ignore'] })
    const code = once(child, 'close')
    let shown = ''
    for await (const piece of child.stdout) {
      const before = shown
      shown += String(piece)
      const asked = /Crypto Officer password of HSMoDnFIPS: /
      if (asked.test(shown) && !asked.test(before)) child.stdin.write(`xy\x7f\x7f${pin}\r`)
    }
    assert.deepEqual(await code, [0, null], shown)
    assert.match(shown, /pass +Login/)
    assert.ok(!shown.includes(pin))
  })

  const notRoot = process.getuid?.() === 0 ? false : 'only root may give a folder away'
  it('check logs in only as the user who owns the state folder', { skip: notRoot }, async () => {
    const other = join(home, 'state-of-another')
    mkdirSync(other)
    chownSync(other, 4242, 4242)
    const client = ['--library', library, '--conf-path', join(home, 'dpod'), '--state', other]
    const { code, stderr } = await run(['check', ...client], `${pin}\n`)
    assert.deepEqual([code, stderr.includes("sudo -u '#4242'")], [3, true], stderr)
  })

  it('check with a wrong password ends with 4, and never sends it a second time', async () => {
    for (const time of [1, 2]) {
      const { code, stdout } = await run(['check', ...state], 'a-wrong-password\n')
      assert.equal(code, 4, `${time}: ${stdout}`)
      assert.match(stdout, /^fail +Login/m)
      assert.match(
        stdout,
        /\nskip {2}6 more were not reached\.\n\nKeyScaler cannot use HSMoDnFIPS .* yet: see "Login" above\.\n$/
      )
    }
    assert.equal((await logins()).rejections, 1)
    assert.equal((await run(['check', ...state])).code, 3)
  })

  it('what does not fit is told by its exit code: 2 usage, 3 values, 4 a library that cannot be used', async () => {
    const usage = [['check', 'x'], ['check', '--slot', 'three'], ['list', '--output', 'xml'], ['init-partition']]
    const [mistyped, absent, list, check, elsewhere] = await Promise.all([
      Promise.all(usage.map((args) => run([...args, ...state]))),
      run(['import', join(home, 'absent.zip'), ...state]),
      run(['list', '--library', '/absent.so', ...state]),
      run(['check', '--library', '/absent.so', '--no-login', ...state]),
      run(['show', '--slot', '9', ...state])
    ])
    assert.deepEqual(
      mistyped.map(({ code, stdout }) => `${code}${stdout}`),
      ['2', '2', '2', '2']
    )
    assert.deepEqual([absent.code, list.code, check.code, elsewhere.code], [3, 4, 4, 4])
    assert.match(check.stdout, /^fail +PKCS#11 library/m)
    assert.match(elsewhere.stderr, /Found: slot 3 "HSMoDnFIPS"/)
  })

  it('a slot without a token, a blank partition and a call without an answer are told for what they are', async () => {
    const client = ['--library', library, '--conf-path', join(home, 'dpod'), ...state]
    try {
      await setLunaState(token.confPath, { present: false })
      const list = await run(['list', ...client])
      assert.deepEqual([list.code, /Slot 3 is listed and holds no token/.test(list.stderr)], [0, true], list.stderr)
      assert.match((await run(['show', ...client])).stderr, /Found: slot 3 without a token\. .*--no-login/)
      await setLunaState(token.confPath, { present: true, initialised: false })
      assert.match((await run(['show', ...client])).stderr, /Found: slot 3, not initialised\./)
      await setLunaState(token.confPath, { initialised: true })
      await setLunaFaults(token.confPath, 'C_GetSlotList=crash')
      assert.match((await run(['list', ...client])).stderr, /could not list partitions\. .*crashed while listing slots/)
    } finally {
      await setLunaState(token.confPath, { present: true, initialised: true })
      await setLunaFaults(token.confPath, '')
    }
  })

  it('an install with a software key store has no partitions, and is told so', async () => {
    const nss = join(home, 'nss-state')
    mkdirSync(nss, { mode: 0o700 })
    const record = { profile: 'nss', module: null, moduleSha256: null, confPath: null, folder: join(nss, 'nss') }
    const token = { slot: 0, label: 'NSS', serial: '0', model: 'NSS 3', firmware: '0.0' }
    writeFileSync(join(nss, 'key-store.json'), JSON.stringify({ ...record, ...token }), { mode: 0o600 })
    for (const command of ['list', 'show']) {
      const { code, stderr } = await run([command, '--state', nss])
      assert.deepEqual([code, /software key store .*it has no partitions/.test(stderr)], [4, true], stderr)
    }
    const { code, stdout } = await run(['check', '--no-login', '--state', nss])
    assert.equal(code, 0, stdout)
    assert.match(stdout, /\nAs far as it shows without a login, KeyScaler can use the key store\.\n$/)
  })

  it('init-partition prints the guide’s session with slot and label, and changes nothing', async () => {
    const { code, stdout } = await run(['init-partition', '--label', 'HSMoDnFIPS', '--slot', '3', ...state])
    assert.equal(code, 0)
    assert.deepEqual(stdout.trim().split('\n').slice(0, 5), [
      'slot set -slot 3',
      'par init -label HSMoDnFIPS',
      'slot list',
      'role login -name Partition SO',
      'role init -name Crypto Officer'
    ])
    assert.match(stdout, /\nrole logout\nrole login -name Crypto Officer\nrole changepw -name Crypto Officer\n/)
    assert.equal((await run(['init-partition', '--label', 'what?', '--slot', '3', ...state])).code, 2)
  })

  it('init-partition --softhsm makes a blank SoftHSM token ready, and no other', async () => {
    mkdirSync(join(home, 'tokens'))
    const conf = join(home, 'softhsm2.conf')
    writeFileSync(conf, `directories.tokendir = ${join(home, 'tokens')}\nobjectstore.backend = file\n`)
    const passwords = ['so-password', 'password'].map((name) => {
      writeFileSync(join(home, name), `${name}-of-softhsm\n`, { mode: 0o600 })
      return join(home, name)
    })
    const [so = '', user = ''] = passwords
    const args = [
      'init-partition',
      '--softhsm',
      '--so-password-file',
      so,
      '--password-file',
      user,
      '--label',
      'soft one'
    ]
    const json = [...args, '--output', 'json', ...state, '--library']
    const made = await run([...json, softHsm], '', { SOFTHSM2_CONF: conf })
    assert.equal(made.code, 0, made.stderr)
    const { slot, label } = partition.parse(JSON.parse(made.stdout))
    assert.equal(label, 'soft one')
    const again = await run([...json, softHsm, '--slot', String(slot)], '', { SOFTHSM2_CONF: conf })
    assert.equal(again.code, 7, again.stderr)
    assert.match(again.stderr, /initialised already/)
    const luna = await run([...json, token.module, '--conf-path', token.confPath])
    assert.match(luna.stderr, /no SoftHSM token/)
    assert.equal((await readLunaState(token.confPath)).soLogins, 0)
    assert.ok(existsSync(join(token.confPath, 'tokens')))
  })
})
