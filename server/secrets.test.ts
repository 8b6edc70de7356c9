/**
 * A secret typed once is never shown, logged, or put where others can read it (security.md A09, A23, A27–A30): a whole
 * install with secrets that can be recognised, and then a search for each, in every form, in all that came out of it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { openPool } from '../lib/database/pool.ts'
import { issueEvaluationLicense } from '../lib/license/evaluation-issuer.ts'
import { issueCertificate } from '../lib/x509/issue.ts'
import { parseName } from '../lib/x509/name.ts'
import { newSerial } from '../lib/x509/serial.ts'
import { newCa, newKeyPair } from '../lib/x509/testing.ts'
import { validity } from '../lib/x509/validity.ts'
import { createLunaToken } from '../sandbox/luna/token.ts'
import { freePort } from '../sandbox/ports.ts'
import { fromRoot } from '../sandbox/root.ts'
import { freshName, sharedParts, sharedSandbox } from '../sandbox/testing.ts'
import type { StepId } from './steps/step.ts'
import { leaksIn } from './testing/canaries.ts'
import { type Door, openDoor } from './testing/door.ts'
import { type Keyscaler, startKeyscaler } from './testing/keyscaler.ts'
import { type ProcessWatch, watchProcesses } from './testing/process-watch.ts'

/** Signs that other notations write otherwise, so that an escaped copy is none that a plain search would find. */
const canary = (what: string) => `${what}-${randomBytes(9).toString('hex')}&'<%+\\é`

const dir = mkdtempSync(join(tmpdir(), 'ks-secrets-'))
const stateDir = join(dir, 'state')
const temporary = join(dir, 'tmp')
const typed = {
  'database password': canary('Db'),
  'Crypto Officer password': canary('Co'),
  'wrong Crypto Officer password': canary('No'),
  "administrator's password": canary('Ad'),
  'broker password': canary('Ka')
}
const canaries = new Map<string, string>(Object.entries(typed))
const leaks: string[] = []
const look = (where: string, content: string | Buffer) => leaks.push(...leaksIn(canaries, where, content))

let door: Door
let wizard: Keyscaler
let processes: ProcessWatch
let administrator: Pool
let database = ''
let given: { certificate: string; certificateKey: string; foreignKey: string }
let bodies: Record<Exclude<StepId, 'complete'>, Record<string, unknown>>
let services: Record<'dae' | 'cp', string>

/** An administrator of the server with a password of our own; may do what the sandbox's may, no more. */
async function makeDatabaseAccount(user: string): Promise<void> {
  const [rows] = await administrator.query<RowDataPacket[]>('SHOW GRANTS FOR CURRENT_USER')
  await administrator.query('CREATE USER ?@? IDENTIFIED BY ?', [user, '127.0.0.1', typed['database password']])
  const rights = /^GRANT (.*?) ON \*\.\*/.exec(String(Object.values(rows[0] ?? {})[0]))?.[1] ?? ''
  await administrator.query(`GRANT ${rights} ON *.* TO ?@? WITH GRANT OPTION`, [user, '127.0.0.1'])
}

/** A certificate for 127.0.0.1 from a CA that this machine trusts for the time of the test. */
async function makeCertificate(): Promise<typeof given> {
  const ca = await newCa('EC-P256', 'CN=Private CA of a customer')
  const pem = (key: { export: (as: { type: 'pkcs8'; format: 'pem' }) => string | Buffer }) =>
    String(key.export({ type: 'pkcs8', format: 'pem' }))
  const { privateKey, publicKey } = newKeyPair('EC-P256')
  const foreign = newKeyPair('EC-P256')
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: parseName('CN=mqs'),
      publicKey,
      serial: newSerial(),
      issuer: ca,
      ipAddresses: ['127.0.0.1'],
      ...validity(30)
    },
    ca.signer
  )
  const roots = join(dir, 'roots.pem')
  writeFileSync(roots, ca.certificate.toString())
  process.env.SSL_CERT_FILE = roots
  const keys = { certificateKey: pem(privateKey), foreignKey: pem(foreign.privateKey) }
  // One line of the PEM: it stands in every copy, however the lines are broken or escaped.
  canaries.set('private key of a certificate', keys.certificateKey.split('\n')[1] ?? '')
  canaries.set('private key that does not fit', keys.foreignKey.split('\n')[1] ?? '')
  return { certificate: certificate.toString(), ...keys }
}

function newCode(name: string, code: string): string {
  canaries.set(name, code)
  canaries.set(`${name} without hyphens`, code.replaceAll('-', ''))
  return code
}

before(async () => {
  const { mariadb, memcached, kafka } = await sharedSandbox(sharedParts)
  administrator = openPool(mariadb, 2)
  database = freshName('secrets')
  await makeDatabaseAccount(database)
  const partition = { pin: typed['Crypto Officer password'], soPin: canary('So') }
  const [luna, license] = await Promise.all([
    createLunaToken(join(dir, 'luna'), partition),
    issueEvaluationLicense(stateDir, { licensee: 'Tester', devices: 10, days: 30 })
  ])
  given = await makeCertificate()
  const address = async () => `https://127.0.0.1:${await freePort()}`
  const [kmsHost, daeHost, mqsHost, cpHost] = [await address(), await address(), await address(), await address()]
  services = { dae: daeHost, cp: cpHost }
  const password = typed["administrator's password"]
  bodies = {
    welcome: { acceptTerms: true },
    database: {
      dbHost: mariadb.host,
      dbPort: mariadb.port,
      dbName: database,
      dbUser: database,
      dbPassword: typed['database password']
    },
    kms: {
      keyStore: 'gemalto-safenet',
      slot: luna.slot,
      partition: luna.label,
      password: partition.pin,
      library: luna.module,
      confPath: luna.confPath,
      kmsHost
    },
    memcached: { servers: memcached.server, prefix: `${database}:` },
    account: { tenant: 'acme', fullName: 'Ada', email: 'ada@acme.example', password, passwordAgain: password },
    license: { license },
    kafka: {
      security: 'PLAINTEXT',
      brokers: kafka.brokers.join(','),
      topicPrefix: database,
      partitions: 1,
      replication: 1
    },
    dae: { daeHost },
    mqs: { mqsHost, certificate: given.certificate, certificateKey: given.certificateKey },
    cp: { cpHost }
  }
  mkdirSync(temporary)
  processes = watchProcesses()
  const port = await freePort()
  wizard = startKeyscaler(['serve', '--state', stateDir, '--port', String(port), '--log-level', 'debug'], {
    confPath: luna.confPath,
    home: dir,
    kafka: kafka.kind,
    environment: { TMPDIR: temporary }
  })
  const line = await wizard.said(/^Setup code:/)
  door = openDoor(`http://127.0.0.1:${port}`)
  await door.enterAsBrowser(newCode('setup code of the browser', line.slice('Setup code:'.length).trim()))
  canaries.set('browser session', door.secrets().cookie)
  const code = execFileSync(process.execPath, [fromRoot('server/cli.mjs'), 'code', '--state', stateDir])
  newCode('setup code of the script', code.toString().trim())
})

after(async () => {
  processes?.stop()
  await wizard?.stop()
  wizard?.dropLifeline()
  await administrator?.query(`DROP DATABASE IF EXISTS \`${database}\``)
  await administrator?.query('DROP USER IF EXISTS ?@?', [database, '127.0.0.1'])
  await administrator?.end()
  rmSync(dir, { recursive: true, force: true })
})

/** Every file below the state directory, and nothing that others may open. */
function lookAtFiles(moment: string): void {
  for (const name of readdirSync(stateDir, { recursive: true, encoding: 'utf8' })) {
    const path = join(stateDir, name)
    const info = lstatSync(path, { throwIfNoEntry: false })
    if (info === undefined) continue
    assert.equal(info.mode & 0o077, 0, `${moment}: ${name} has mode ${(info.mode & 0o777).toString(8)}`)
    if (info.isFile()) look(relative(stateDir, path), readFileSync(path))
  }
}

/** As an administrator who comes back to the step, by every way of asking. */
async function visit(step: StepId): Promise<void> {
  const pages = await Promise.all([
    door.page(`/setup/steps/${step}`),
    door.document(`/setup/steps/${step}`),
    door.document('/setup/progress'),
    door.page('/setup')
  ])
  assert.deepEqual(
    pages.map(({ status }) => status),
    [200, 200, 200, 303]
  )
  // Empty secrets mean "as before", so these prove the kept ones again.
  const { password: _1, dbPassword: _2, certificateKey: _3, passwordAgain: _4, ...shown } = bodies[step as 'kms']
  await door.check(step, shown)
}

/** Types the secret where it is refused: wrong in itself, wrong in company, wrong in form, by a stranger. */
async function typeInVain(step: StepId, field: string, wrong: Record<string, unknown>): Promise<void> {
  const usual = bodies[step as 'kms']
  const right = field in usual ? usual : { ...usual, ...wrong }
  const secret = String(right[field])
  const asText = (values: object) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]))
  const raw = (headers: Record<string, string>, body: string) =>
    door.ask(`/setup/steps/${step}`, { method: 'POST', headers, body })
  const authorization = `Bearer ${door.secrets().bearer}`
  const type = { 'content-type': 'application/json', accept: 'application/json' }
  const answers = [
    await door.post(step, { ...right, ...wrong }),
    await door.check(step, { ...right, ...wrong }),
    await door.send(`/setup/steps/${step}`, asText({ ...right, ...wrong })),
    await door.send(`/setup/steps/${step}/check`, asText({ ...right, ...wrong })),
    await door.post(step, { ...right, [field]: [secret, secret] }),
    await door.post(step, { ...right, [field]: { of: secret } }),
    await door.post(step, { ...right, [`no-such-${field}`]: secret }),
    await door.post(step, { [field]: secret }),
    await raw(type, JSON.stringify(right)),
    await raw({ ...type, authorization, 'content-type': 'text/plain' }, JSON.stringify(right)),
    await raw({ ...type, authorization }, `${JSON.stringify(right)}!`),
    await raw({ ...type, authorization }, JSON.stringify({ ...right, more: ' '.repeat(300_000) })),
    await raw({ ...type, cookie: `keyscaler-setup=${door.secrets().cookie}` }, JSON.stringify(right))
  ]
  for (const [at, { status, text }] of answers.entries()) {
    assert.ok(status >= 400 && status < 500, `${step}, attempt ${at}: ${status} ${text.slice(0, 300)}`)
  }
}

async function next(step: StepId): Promise<string> {
  const { status, text } = await door.post(step, bodies[step as 'kms'] ?? {})
  assert.equal(status, 303, `${step}: ${text}`)
  return text
}

function dumpDatabase(): Buffer {
  const options = join(dir, 'dump.cnf')
  const { dbHost, dbPort, dbUser, dbPassword } = bodies.database
  const quoted = String(dbPassword).replaceAll('\\', '\\\\')
  const text = `[client]\nhost=${dbHost}\nport=${dbPort}\nuser=${dbUser}\npassword="${quoted}"\n`
  writeFileSync(options, text, { mode: 0o600 })
  return execFileSync(
    'mariadb-dump',
    [`--defaults-file=${options}`, '--protocol=tcp', '--hex-blob', '--single-transaction', '--databases', database],
    { maxBuffer: 2 ** 27 }
  )
}

test('no secret leaks while all eleven steps are done, in vain and in earnest', async () => {
  lookAtFiles('before the code is spent')
  await door.enterAsScript(canaries.get('setup code of the script') ?? '')
  canaries.set('bearer token', door.secrets().bearer)

  await next('welcome')
  await typeInVain('database', 'dbPassword', { dbUser: 'nobody_at_all' })
  await next('database')
  await visit('database')

  await typeInVain('kms', 'password', { slot: 7 })
  const rejected = await door.post('kms', { ...bodies.kms, password: typed['wrong Crypto Officer password'] })
  assert.match(rejected.text, /password is not correct/)
  await next('kms')
  await visit('kms')

  await next('memcached')
  await visit('memcached')

  await typeInVain('account', 'password', { passwordAgain: 'another one than the first' })
  const { showOnce } = JSON.parse(await next('account'))
  const shown: string = showOnce.find(({ secret }: { secret?: boolean }) => secret === true).value
  canaries.set('participant secret', shown)
  const asScript = { accept: 'text/html', authorization: `Bearer ${door.secrets().bearer}` }
  assert.equal((await door.ask('/setup/steps/license', { headers: asScript })).status, 200)
  await visit('account')

  await next('license')
  await visit('license')

  const sasl = { security: 'SASL_SSL', mechanism: 'plain', username: 'ada', password: typed['broker password'] }
  await typeInVain('kafka', 'password', sasl)
  await next('kafka')
  await visit('kafka')
  await next('dae')
  await visit('dae')

  await typeInVain('mqs', 'certificateKey', { certificateKey: given.foreignKey })
  await next('mqs')
  await visit('mqs')
  await next('cp')
  await visit('cp')
  lookAtFiles('before the last step')
})

test('nor while a device is registered and enrols, and the administrator logs in', async () => {
  const file = (name: string) => readFileSync(join(stateDir, 'tls', name))
  const ca = file('service-ca.crt')
  const tls = { ca, cert: file('wizard.crt'), key: file('wizard.key') }
  const json = { accept: 'application/json', 'content-type': 'application/json' }
  const registered = await door.ask(`${services.dae}/api/v1/registrations`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ deviceName: 'device-1' }),
    tls
  })
  assert.equal(registered.status, 201)
  const { secret } = JSON.parse(registered.text)
  canaries.set('enrolment secret', secret)
  const credentials = Buffer.from(`device-1:${secret}`).toString('base64')
  const enrolled = await door.ask(`${services.dae}/.well-known/est/simpleenroll`, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}`, 'content-type': 'application/pkcs10' },
    body: Buffer.from('no request at all').toString('base64'),
    tls: { ca }
  })
  assert.equal(enrolled.status, 400)

  const { email, password } = bodies.account
  const login = (body: object) =>
    door.ask(`${services.cp}/login`, { method: 'POST', headers: json, body: JSON.stringify(body), tls: { ca } })
  assert.equal((await login({ email: 'nobody@acme.example', password })).status, 401)
  assert.equal((await login({ email, password: [password] })).status, 422)
  const loggedIn = await login({ email, password })
  assert.equal(loggedIn.status, 200)
  const cookie = loggedIn.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  canaries.set('session of the Control Panel', cookie.slice(cookie.indexOf('=') + 1))
  for (const path of ['/', '/registrations', '/devices', '/events', '/authorities', '/nothing']) {
    await door.ask(services.cp + path, { headers: { accept: 'text/html', cookie }, tls: { ca } })
  }
})

test('each stands where it must, and in nothing else that came out of the door, the processes, the files or the database', async () => {
  await next('complete')
  const finished = await door.page('/')
  assert.match(String(finished.headers['set-cookie']), /^keyscaler-setup=; .*Expires=Thu, 01 Jan 1970/)
  assert.equal(finished.headers['clear-site-data'], '"cache"')
  await door.document('/')
  await door.page('/setup/steps/kms')
  await door.page('/nothing')
  lookAtFiles('when setup is finished')
  const dump = dumpDatabase()
  assert.ok(dump.includes('CREATE TABLE `answers`') && dump.includes('INSERT INTO `participants`'))
  look('the database', dump)
  for (const { asked, headers, text } of door.answers) {
    look(`the headers of ${asked}`, JSON.stringify(headers))
    look(`the answer to ${asked}`, text)
  }
  const programs = processes.stop()
  for (const [program, text] of programs) look(program, text)
  // A child that was too quick to be seen would prove nothing.
  const ran = [...programs.keys()].join('\n')
  for (const program of ['server/cli.mjs serve', 'probe-child.ts', 'lib/keystore/agent.ts', 'services/mqs/main.ts']) {
    assert.ok(ran.includes(program), `${program} was not seen`)
  }
  const { stdout, stderr } = await wizard.stop()
  assert.match(stdout, /"url":"\/setup\/steps\/kms"/)
  look('stdout of the wizard', stdout)
  look('stderr of the wizard', stderr)
  const compiled = join(temporary, `keyscaler-compiled-${process.getuid?.()}`)
  const kept = readdirSync(compiled).filter((name) => name.startsWith('keyscaler-'))
  assert.match(String(kept), /^keyscaler-serve-[^,]+$/)
  for (const name of kept) look(name, readFileSync(join(compiled, name)))

  const answer = (asked: string) => `the answer to ${asked} (application/json)`
  const allowed = [
    'setup code of the browser in stdout of the wizard',
    'setup code of the script in setup-code',
    'database password in credentials/database-dbPassword',
    'Crypto Officer password in credentials/kms-password',
    'private key of a certificate in credentials/mqs-certificateKey',
    'browser session in the headers of POST /setup/code (text/html)',
    `bearer token in ${answer('POST /setup/session')}`,
    `participant secret in ${answer('POST /setup/steps/account')}`,
    `enrolment secret in ${answer('POST /api/v1/registrations')}`,
    'session of the Control Panel in the headers of POST /login (application/json)'
  ]
  assert.deepEqual([...new Set(leaks)].sort(), allowed.sort())
})
