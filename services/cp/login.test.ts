import assert from 'node:assert/strict'
import { before, beforeEach, test } from 'node:test'
import { utcNow } from '../../lib/database/pool.ts'
import { ask, browse, loggedIn } from './browser-testing.ts'
import { openPasswords } from './passwords.ts'
import { addAdministrator, administrator, newInstall, passwordHash, type TestInstall } from './testing.ts'

let install: TestInstall
before(async () => {
  install = await newInstall()
})
beforeEach(() => install.pool.query('DELETE FROM login_attempts'))

const json = (body: object) => ask(install, '/login', { body })
const wrong = { ...administrator, password: 'not the password' }
const stranger = { email: 'nobody@example.test', password: 'not the password' }
const sessionName = '__Host-keyscaler-cp'

test('a person logs in by the form and gets a cookie that only this host, HTTPS and our own pages see', async () => {
  const browser = browse(install)
  const page = await browser.get('/login')
  assert.equal(page.status, 200)
  const entered = await browser.submit(page, '/login', { ...administrator, email: ' ADA@example.test ' })
  assert.deepEqual([entered.status, entered.headers.location], [303, '/'])
  const [cookie] = (entered.headers['set-cookie'] ?? []).filter((line) => line.startsWith(`${sessionName}=`))
  assert.match(cookie ?? '', /; Max-Age=86400; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
  const overview = await browser.get('/')
  assert.equal(overview.status, 200)
  assert.match(overview.text, /<h1>Overview<\/h1>/)
  assert.deepEqual([(await browser.get('/login')).status, (await browser.get('/login')).headers.location], [303, '/'])
})

test('a script logs in with JSON and gets the CSRF token of its session', async () => {
  const entered = await json(administrator)
  assert.equal(entered.status, 200)
  const { csrf } = entered.json()
  const cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  const asked = await ask(install, '/', { headers: { accept: 'application/json', cookie } })
  assert.equal(asked.status, 200)
  assert.deepEqual(asked.json().administrator, {
    fullName: 'Ada <b>Lovelace</b>',
    email: administrator.email,
    tenant: 'Example'
  })
  const [rows] = await install.pool.query('SELECT id_hash, csrf FROM sessions')
  assert.ok(JSON.stringify(rows).includes(String(csrf)))
  assert.ok(!JSON.stringify(rows).includes(cookie.split('=')[1] ?? 'none'), 'the cookie itself is not kept')
})

test('an unknown e-mail and a wrong password are answered alike, as a page and as JSON', async () => {
  const answers = await Promise.all([json(wrong), json(stranger)])
  const [known, unknown] = answers.map(({ status, text, headers }) => ({
    status,
    body: text.replace(/urn:request:[^"]+/, ''),
    cookie: headers['set-cookie']
  }))
  assert.equal(known?.status, 401)
  assert.deepEqual(known, unknown)
  const browser = browse(install)
  const page = await browser.get('/login')
  const forms = [await browser.submit(page, '/login', wrong), await browser.submit(page, '/login', stranger)]
  const [first, second] = forms.map(({ text }) => text.replace(/value="(ada|nobody)@[^"]+"/, ''))
  assert.match(first ?? '', /role="alert"[\s\S]*E-mail or password is not right\./)
  assert.equal(first, second)
  assert.doesNotMatch(first ?? '', /not the password/)
})

test('an e-mail that nobody has takes a whole verification, not a shortcut', async () => {
  const passwords = await openPasswords()
  const stored = await passwordHash('something')
  // Processor time, all threads: what it costs, however busy the machine is.
  const cost = async (hash: string | null) => {
    const before = process.cpuUsage()
    for (let turn = 0; turn < 3; turn++) assert.equal(await passwords.match(hash, 'anything'), false)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  await cost(stored)
  const [known, unknown] = [await cost(stored), await cost(null)]
  assert.ok(unknown > known / 2, `${unknown} µs against ${known} µs`)
})

test('readiness does not hash anew each time that it is asked for, a login proves the verifier before each use', async () => {
  const passwords = await openPasswords()
  const cost = async (work: () => Promise<boolean>) => {
    const before = process.cpuUsage()
    for (let turn = 0; turn < 5; turn++) assert.equal(await work(), true)
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  const [asked, proved] = [await cost(passwords.haveProved), await cost(passwords.proveThemselves)]
  assert.ok(asked < proved / 2, `${asked} µs against ${proved} µs`)
})

test('after five failures an e-mail waits, with the right password too, and whether or not it exists', async () => {
  for (const who of [wrong, stranger]) {
    for (let failure = 0; failure < 5; failure++) assert.equal((await json(who)).status, 401)
    const limited = await json({ ...who, password: administrator.password })
    assert.equal(limited.status, 429)
    assert.match(String(limited.json().detail), /^Too many failed logins\. Try again in 15 minutes\.$/)
    assert.ok(Number(limited.headers['retry-after']) > 890)
  }
  const browser = browse(install)
  const page = await browser.submit(await browser.get('/login'), '/login', administrator)
  assert.equal(page.status, 429)
  assert.match(page.text, /role="alert"[\s\S]*Too many failed logins/)

  await install.pool.query('UPDATE login_attempts SET at = ?', [utcNow(new Date(Date.now() - 15 * 60_000))])
  assert.equal((await json(administrator)).status, 200)
})

test('many attempts at once are not judged more often than five times', async () => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => json(wrong)))
  const judged = answers.filter(({ status }) => status === 401).length
  assert.ok(judged <= 5, `${judged} were judged`)
  assert.equal(answers.filter(({ status }) => status === 429).length, 12 - judged)
})

test('an address waits after twenty failures over many e-mails', async () => {
  for (let failure = 0; failure < 20; failure++) {
    assert.equal((await json({ ...stranger, email: `guess-${failure}@example.test` })).status, 401)
  }
  assert.equal((await json(administrator)).status, 429)
})

test('a login forgets the failures of its e-mail', async () => {
  for (let failure = 0; failure < 4; failure++) await json(wrong)
  assert.equal((await json(administrator)).status, 200)
  for (let failure = 0; failure < 4; failure++) assert.equal((await json(wrong)).status, 401)
  assert.equal((await json(administrator)).status, 200)
})

test('logging in ends the session that came with it and makes a new one; logging out ends that on the server', async () => {
  const browser = await loggedIn(install)
  const before = browser.cookies.get(sessionName) ?? ''
  const again = await browser.post('/login', { body: administrator, headers: { accept: 'application/json' } })
  assert.equal(again.status, 200)
  const after = browser.cookies.get(sessionName) ?? ''
  assert.notEqual(after, before)
  const withCookie = (value: string) =>
    ask(install, '/', { headers: { accept: 'text/html', cookie: `${sessionName}=${value}` } })
  assert.equal((await withCookie(before)).headers.location, '/login')
  const overview = await withCookie(after)
  assert.equal(overview.status, 200)

  const left = await browser.submit(overview, '/logout', {})
  assert.deepEqual([left.status, left.headers.location], [303, '/login'])
  assert.equal(browser.cookies.has(sessionName), false)
  assert.equal((await withCookie(after)).headers.location, '/login')
})

test('a planted cookie is not taken over, and a session that is over opens nothing', async () => {
  const browser = browse(install)
  browser.cookies.set(sessionName, 'planted')
  await browser.submit(await browser.get('/login'), '/login', administrator)
  assert.notEqual(browser.cookies.get(sessionName), 'planted')
  assert.equal((await browser.get('/')).status, 200)
  await install.pool.query('UPDATE sessions SET expires_at = ?', [utcNow()])
  assert.equal((await browser.get('/')).headers.location, '/login')
  assert.equal((await ask(install, '/', { headers: { accept: 'application/json' } })).status, 401)
})

test('a login form needs our origin and the token that belongs to its cookie', async () => {
  const browser = browse(install)
  const page = await browser.get('/login')
  const token = /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const body = new URLSearchParams({ ...administrator, _csrf: token })
  const refused = async (headers: Record<string, string>, cookie = true) => {
    const kept = cookie ? { cookie: [...browser.cookies].map((pair) => pair.join('=')).join(';') } : {}
    return (await ask(install, '/login', { body, headers: { accept: 'text/html', ...kept, ...headers } })).status
  }
  assert.equal(await refused({}), 403, 'no Origin')
  assert.equal(await refused({ origin: 'https://evil.test' }), 403)
  assert.equal(await refused({ origin: 'null' }), 403)
  assert.equal(await refused({ 'sec-fetch-site': 'cross-site' }), 403)
  assert.equal(await refused({ origin: install.address, 'sec-fetch-site': 'same-site' }), 403)
  assert.equal(await refused({ origin: install.address }, false), 403, 'without the cookie of the form')
  assert.equal(await refused({ origin: install.address }), 303)
})

test('a JSON login from another origin is refused, and so is JSON that calls itself text', async () => {
  const body = administrator
  assert.equal((await ask(install, '/login', { body, headers: { origin: 'https://evil.test' } })).status, 403)
  assert.equal((await ask(install, '/login', { body, headers: { 'sec-fetch-site': 'cross-site' } })).status, 403)
  assert.equal((await ask(install, '/login', { body: JSON.stringify(body) })).status, 415)
})

test('missing, repeated, unknown and oversized values are named, and nothing is counted', async () => {
  const browser = browse(install)
  const page = await browser.submit(await browser.get('/login'), '/login', { email: '', password: '' })
  assert.equal(page.status, 422)
  for (const label of ['E-mail', 'Password']) assert.match(page.text, new RegExp(`must provide a value for ${label}`))
  assert.equal((await json({ email: ['a', 'b'], password: 'x' })).status, 422)
  assert.equal((await json({ ...administrator, admin: true })).status, 422)
  assert.equal((await json({ ...administrator, password: 'x'.repeat(2000) })).status, 422)
  const [rows] = await install.pool.query('SELECT * FROM login_attempts')
  assert.deepEqual(rows, [])
})

test('no password, cookie or e-mail reaches the log', async () => {
  const browser = await loggedIn(install)
  await json({ email: 'my-password-in-the-wrong-field', password: 'x' })
  const log = install.log()
  assert.match(log, /"outcome":"in"/)
  for (const secret of [administrator.password, browser.cookies.get(sessionName) ?? '-', 'my-password-in']) {
    assert.ok(!log.includes(secret))
  }
})

test('the wizard, and nobody else, may ask whether an administrator could log in', async () => {
  const check = (email: string, role?: 'wizard' | 'dae') =>
    ask(install, '/api/v1/login-check', {
      body: { email },
      ...(role === undefined ? {} : { as: install.identity(role) })
    })
  const { email } = administrator
  assert.equal((await check(email)).status, 401)
  assert.equal((await check(email, 'dae')).status, 403)
  const right = await check(email, 'wizard')
  assert.deepEqual([right.status, right.json()], [200, { ok: true }])
  assert.equal((await check('nobody@example.test', 'wizard')).status, 404)
  await addAdministrator(install.pool, 'broken@example.test', '$2b$10$abcdefghijklmnopqrstuv')
  assert.equal((await check('broken@example.test', 'wizard')).status, 409)
  assert.equal((await json({ email: 'broken@example.test', password: 'x' })).status, 401)
})
