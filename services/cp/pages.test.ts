import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import { dir } from '../testing/test-file.ts'
import { type Answer, ask, type Browser, browse, loggedIn } from './browser-testing.ts'
import { addAdministrator, administrator, newInstall, passwordHash, type TestInstall, tenant } from './testing.ts'

let install: TestInstall
let browser: Browser
/** A script that has logged in: asks for JSON, sends the token in a header. */
let script: (path: string, body?: object, headers?: Record<string, string>) => Promise<Answer>

before(async () => {
  install = await newInstall(['dae'])
  browser = await loggedIn(install)
  const entered = await ask(install, '/login', { body: administrator })
  const cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  const own = { accept: 'application/json', cookie, 'x-csrf-token': String(entered.json().csrf) }
  script = (path, body, headers = {}) =>
    ask(install, path, { ...(body === undefined ? {} : { body }), headers: { ...own, ...headers } })
})

const pages = ['/', '/registrations', '/devices', '/events', '/authorities']

test('nobody sees a page without a session: browsers go to the login, scripts get 401', async () => {
  for (const path of [...pages, '/devices/x', '/service-ca.pem', '/device-ca.pem']) {
    const page = await ask(install, path, { headers: { accept: 'text/html' } })
    assert.deepEqual([path, page.status, page.headers.location], [path, 303, '/login'])
    const data = await ask(install, path, { headers: { accept: 'application/json' } })
    assert.deepEqual([path, data.status], [path, 401])
  }
  assert.equal((await ask(install, '/registrations', { body: { deviceName: 'x' } })).status, 401)
})

test('every page is kept nowhere, runs no foreign or inline code and stands in no frame', async () => {
  for (const path of ['/login', '/nowhere', '/help/support', '/help/terms', ...pages]) {
    const { headers, text } = await browser.get(path)
    assert.equal(headers['cache-control'], 'no-store', path)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe/)
    assert.doesNotMatch(text, /<style|<script(?! src)| style=| on[a-z]+=/, path)
    assert.doesNotMatch(text, /undefined|\[object |NaN/, path)
  }
  const page = await browser.get('/')
  const [, sheet = ''] = /href="(\/public\/[^"]+css[^"]*)"/.exec(page.text) ?? []
  const css = await browser.get(sheet)
  assert.equal(css.status, 200)
  assert.match(String(css.headers['cache-control']), /immutable/)
})

test('the overview says of each service in words how it is', async () => {
  const { text } = await browser.get('/')
  assert.match(text, /Needs attention: Message Queue Service\./)
  const row = (title: string) =>
    new RegExp(`<th scope="row">${title}.*?</tr>`, 's').exec(text)?.[0] ?? assert.fail(`no row for ${title}`)
  assert.match(row('Key Management Service'), /Ready[\s\S]*keyStore: open &lt;i&gt;x&lt;\/i&gt;/)
  assert.match(text, /Warning:<\/strong> The keys are in a software key store: not HSM-protected\./)
  assert.match(row('Device Authority Engine'), /Ready[\s\S]*memcached: answers/)
  assert.match(row('Message Queue Service'), /No answer[\s\S]*ECONNREFUSED/)
  assert.match(row('Database'), /Ready/)
  const data = (await script('/')).json()
  assert.equal(data.softwareKeys, true)
  assert.deepEqual(data.license, {
    licensee: 'Example Ltd',
    deviceLimit: 50,
    taken: 0,
    notAfter: (data.license as { notAfter: string }).notAfter
  })
})

test('a device is registered, its secret is shown once, and the commands on the page enrol it', async () => {
  const name = 'pump-7.east'
  const made = await browser.submit(await browser.get('/registrations'), '/registrations', {
    deviceName: name,
    hours: '2'
  })
  assert.equal(made.status, 201)
  const secret = /One-time secret<\/dt><dd><code>([\w-]{32})<\/code>/.exec(made.text)?.[1] ?? assert.fail(made.text)

  const folder = mkdtempSync(join(dir, 'device-'))
  const commands = [...made.text.matchAll(/<pre [^>]*><code>([\s\S]*?)<\/code>/g)].map(([, code = '']) => plain(code))
  assert.equal(commands.length, 3)
  assert.ok(!commands.join().includes(secret))
  const authority = await browser.get('/service-ca.pem')
  assert.match(authority.text, /^-----BEGIN CERTIFICATE-----/)
  await shell(folder, `cat > service-ca.pem`, authority.text)
  for (const command of commands) await shell(folder, command, `${secret}\n`)

  const certificate = new X509Certificate(readFileSync(join(folder, `${name}.crt`)))
  assert.equal(certificate.subject, `CN=${name}`)
  assert.ok(certificate.verify(install.deviceCa.certificate.publicKey))

  const device = await browser.get(`/devices/${name}`)
  assert.match(device.text, new RegExp(certificate.serialNumber))
  assert.match(device.text, new RegExp(certificate.fingerprint256))
  const pem = await browser.get(`/devices/${name}/certificates/${certificate.serialNumber}.pem`)
  assert.equal(pem.headers['content-disposition'], `attachment; filename="${certificate.serialNumber}.pem"`)
  assert.equal(pem.text, certificate.toString())
  assert.match((await browser.get('/registrations')).text, new RegExp(`${name}</a>[\\s\\S]*Enrolled`))
  assert.match((await browser.get('/events')).text, new RegExp(`device.enrolled[\\s\\S]*${name}[\\s\\S]*Waiting`))
  const counts = (await script('/')).json().counts
  assert.deepEqual(counts, {
    registrations: 1,
    openRegistrations: 0,
    devices: 1,
    validCertificates: 1,
    eventsWaiting: 1
  })

  for (const path of [...pages, `/devices/${name}`]) {
    assert.ok(!(await browser.get(path)).text.includes(secret), `${path} shows the secret again`)
    assert.ok(!(await script(path)).text.includes(secret))
  }
  assert.ok(!install.log().includes(secret))
})

test('a script registers with JSON; who asked is on record', async () => {
  const made = await script('/registrations', { deviceName: 'valve-1', hours: 1 })
  assert.equal(made.status, 201)
  const { registration, secret } = made.json() as { registration: Record<string, unknown>; secret: string }
  assert.match(secret, /^[\w-]{32}$/)
  assert.deepEqual([registration.deviceName, registration.createdBy], ['valve-1', administrator.email])
  assert.equal('secret' in registration, false)
  const { registrations } = (await script('/registrations')).json() as { registrations: Record<string, unknown>[] }
  assert.equal(registrations[0]?.state, 'open')
  assert.ok(!JSON.stringify(registrations).includes(secret))
})

test('a registration needs the token of its session and our origin', async () => {
  const body = { deviceName: 'forged', hours: 1 }
  assert.equal((await script('/registrations', body, { 'x-csrf-token': 'x' })).status, 403)
  assert.equal((await script('/registrations', body, { origin: 'https://evil.test' })).status, 403)
  assert.equal((await script('/registrations', body, { 'sec-fetch-site': 'cross-site' })).status, 403)
  const other = await loggedIn(install)
  const [, token = ''] = /name="_csrf" value="([^"]+)"/.exec((await other.get('/registrations')).text) ?? []
  const form = new URLSearchParams({ deviceName: 'forged', hours: '1', _csrf: token })
  assert.equal((await browser.post('/registrations', { body: form })).status, 403, 'the token of another session')
  assert.equal(
    (await browser.post('/registrations', { body: new URLSearchParams({ deviceName: 'forged' }) })).status,
    403
  )
  assert.equal((await browser.post('/logout', { body: form })).status, 403)
  const [rows] = await install.pool.query(`SELECT * FROM registrations WHERE device_name = 'forged'`)
  assert.deepEqual(rows, [])
})

test('what cannot be registered is told at its field, with what was typed', async () => {
  const submit = async (values: Record<string, string>) =>
    browser.submit(await browser.get('/registrations'), '/registrations', values)
  const empty = await submit({ deviceName: ' ', hours: '24' })
  assert.equal(empty.status, 422)
  assert.match(empty.text, /role="alert"[\s\S]*href="#f-deviceName">You must provide a value for Device Name\./)
  const both = await submit({ deviceName: '"><script>alert(1)</script>', hours: '999' })
  assert.match(both.text, /value="&quot;&gt;&lt;script&gt;alert\(1\)&lt;\/script&gt;"/)
  assert.match(both.text, /id="f-hours-error"[\s\S]*number from 1 to 720/)
  const named = await submit({ deviceName: '-no-', hours: '1' })
  assert.match(named.text, /id="f-deviceName-error"[\s\S]*1–64 letters/)
  const taken = await submit({ deviceName: 'pump-7.east', hours: '1' })
  assert.equal(taken.status, 422)
  assert.match(taken.text, /pump-7\.east has enrolled already\./)
  assert.equal((await script('/registrations', { deviceName: 'pump-7.east' })).status, 409)
  assert.equal((await script('/registrations', { deviceName: 'x', hours: '1', tenant: 'Other' })).status, 422)
  assert.equal((await script('/registrations', { deviceName: ['a'], hours: 1 })).status, 422)
})

test('hostile names are text, wherever they come from', async () => {
  const name = `<img src=x onerror=alert(1)>"'&`
  await addDevice(name, tenant)
  await install.pool.query(
    `INSERT INTO registrations (id, tenant, device_name, secret_hash, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [randomUUID(), tenant, name, Buffer.alloc(32), '<b>x</b>', utcNow(), utcNow()]
  )
  for (const path of [...pages, `/devices/${encodeURIComponent(name)}`, `/devices?name=${encodeURIComponent(name)}`]) {
    const { status, text } = await browser.get(path)
    assert.equal(status, 200, path)
    assert.doesNotMatch(text, /<img|<b>/, path)
  }
  assert.match((await browser.get(`/devices/${encodeURIComponent(name)}`)).text, /<h1><bdi>&lt;img src=x/)
})

test('devices, certificates, registrations and events of another tenant are not found', async () => {
  const { id, serial } = await addDevice('theirs', 'Other')
  assert.ok(id)
  const [mine] = await install.pool.query<RowDataPacket[]>(`SELECT serial FROM certificates WHERE serial <> ?`, [
    serial
  ])
  assert.equal((await browser.get('/devices/theirs')).status, 404)
  assert.equal((await browser.get(`/devices/theirs/certificates/${serial}.pem`)).status, 404)
  assert.equal((await browser.get(`/devices/pump-7.east/certificates/${serial}.pem`)).status, 404)
  for (const path of ['/devices', '/events', '/registrations']) {
    assert.doesNotMatch((await browser.get(path)).text, /theirs/)
  }
  await addAdministrator(install.pool, 'eve@example.test', await passwordHash('eve has a password'), 'Other')
  const eve = await loggedIn(install, { email: 'eve@example.test', password: 'eve has a password' })
  assert.match((await eve.get('/devices')).text, /theirs/)
  assert.doesNotMatch((await eve.get('/devices')).text, /pump-7/)
  assert.equal((await eve.get(`/devices/theirs/certificates/${mine[0]?.serial}.pem`)).status, 404)
  assert.equal((await eve.get('/device-ca.pem')).text, '')
})

test('a page has a hundred devices, and the next one goes on from there', async () => {
  const values = Array.from({ length: 101 }, (_, index) => {
    return [randomUUID(), tenant, `many_${String(index).padStart(3, '0')}`, randomUUID(), utcNow()]
  })
  await install.pool.query('INSERT INTO devices (id, tenant, name, registration_id, created_at) VALUES ?', [values])
  const page = await browser.get('/devices?name=many_')
  assert.equal(page.text.match(/many_\d{3}<\/a>/g)?.length, 100)
  const [, next = ''] = /href="(\/devices\?[^"]*)" rel="next"/.exec(page.text) ?? []
  const last = await browser.get(plain(next))
  assert.deepEqual(last.text.match(/many_\d{3}(?=<\/a>)/g), ['many_100'])
  assert.doesNotMatch(last.text, /rel="next"/)
  assert.deepEqual((await script('/devices?name=manyX')).json().devices, [], '_ stands for itself')
  assert.equal((await browser.get('/devices?name=a&name=b')).status, 422)
})

test('an error is a page for people and a problem document for scripts, and shows no stack', async () => {
  const page = await browser.get('/nowhere')
  assert.equal(page.status, 404)
  assert.match(page.text, /<h1>Not found<\/h1>/)
  const data = await script('/nowhere')
  assert.equal(data.status, 404)
  assert.equal(data.headers['content-type'], 'application/problem+json; charset=utf-8')
  const broken = await browser.post('/login', { body: '{', headers: { 'content-type': 'application/json' } })
  assert.equal(broken.status, 400)
  assert.doesNotMatch(broken.text, /SyntaxError|node_modules/)
})

test('without its database it says so in 503, and is back with it, the session too', async () => {
  await install.wire.cut()
  const page = await browser.get('/devices')
  assert.equal(page.status, 503)
  assert.match(page.text, /<h1>The database is not available<\/h1>/)
  assert.equal((await script('/devices')).json().type, '/problems/database-unavailable')
  assert.equal((await ask(install, '/login', { body: administrator })).status, 503)
  assert.equal((await ask(install, '/readyz')).status, 503)
  await install.wire.restore()
  assert.equal((await browser.get('/devices')).status, 200)
  assert.equal((await ask(install, '/readyz')).status, 200)
})

test('another Host name gets nothing; health is for everybody', async () => {
  const refused = await ask(install, '/login', { headers: { host: 'evil.test' } })
  assert.equal(refused.status, 421)
  assert.match(refused.text, /This name is not served here\./)
  const ready = await ask(install, '/readyz')
  assert.equal(ready.status, 200)
  assert.deepEqual(ready.json(), {
    ready: true,
    parts: {
      database: { ok: true, detail: 'answers' },
      passwords: { ok: true, detail: 'argon2id proved on a canary' }
    }
  })
  assert.match((await ask(install, '/metrics')).text, /cp_logins_total\{outcome="in"\} [1-9]/)
  const stranger = browse(install)
  assert.equal((await stranger.get('/help/support')).status, 200)
})

async function addDevice(name: string, of: string): Promise<{ id: string; serial: string }> {
  const [id, registration] = [randomUUID(), randomUUID()]
  const serial = randomUUID().replaceAll('-', '').toUpperCase()
  await install.pool.query('INSERT INTO devices (id, tenant, name, registration_id, created_at) VALUES (?)', [
    [id, of, name, registration, utcNow()]
  ])
  await install.pool.query(
    `INSERT INTO certificates (serial, ca_key_id, registration_id, device_id, certificate, not_before, not_after, state, created_at)
     VALUES (?)`,
    [[serial, 'a', registration, id, install.deviceCa.certificate.raw, utcNow(), utcNow(), 'issued', utcNow()]]
  )
  await install.pool.query(
    `INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at) VALUES (?, 'devices', ?, 'device.enrolled', ?, ?)`,
    [randomUUID(), name, JSON.stringify({ tenant: of, device: name }), utcNow()]
  )
  return { id, serial }
}

/** As a browser reads it. */
function plain(html: string): string {
  return html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}

/** Without a terminal, as curl then reads its password from stdin. */
async function shell(cwd: string, command: string, input: string): Promise<void> {
  const child = spawn('sh', ['-ec', command], { cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const output = Promise.all([child.stdout.toArray(), child.stderr.toArray()])
  child.stdin.on('error', () => {}).end(input)
  const [code] = await once(child, 'close')
  assert.equal(code, 0, `${command}\n${(await output).flat().join('')}`)
}
