import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { readAnswersFile, suggestionsFrom } from './answers-file.ts'
import { steps } from './steps.ts'

const folder = mkdtempSync(join(tmpdir(), 'answers-'))
after(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'answers.yaml')

function write(name: string, text: string, mode = 0o600): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

const read = (text: string, mode?: number) => readAnswersFile(write('answers.yaml', text, mode), steps)

async function refusal(text: string, mode?: number): Promise<AppError> {
  const error = await read(text, mode).then(
    () => assert.fail('it should have been refused'),
    (thrown: unknown) => thrown
  )
  assert.ok(error instanceof AppError, String(error))
  assert.equal(error.code, 'invalid-input')
  assert.ok(error.message.startsWith(`${path}:`), error.message)
  return error
}

const top = 'apiVersion: setup/v1\n'
const inKms = (lines: string) => `${top}steps:\n  kms:\n${lines}`

describe('an answers file that cannot be right is refused with its line and column', () => {
  const cases: readonly (readonly [what: string, text: string, place: string, why: RegExp])[] = [
    ['broken YAML', inKms('    slot: [3\n'), '5:1', /must be sufficiently indented and end with a \]\.$/],
    ['a tab', `${top}steps:\n\tkms: {}\n`, '3:1', /^Tabs are not allowed as indentation\.$/],
    ['a key twice', `${top}steps:\n  kms: {}\n  kms: {}\n`, '4:3', /^Map keys must be unique\.$/],
    ['two documents', `${top}steps: {}\n---\n${top}`, '3:1', /more than one document/],
    ['an alias', `${top}steps: {cp: &a {}, mqs: *a}\n`, '2:25', /not plain YAML/],
    ['a tag', inKms('    slot: !!js/function "x"\n'), '4:11', /not plain YAML/],
    ['nothing', '', '1:1', /^The file must begin with apiVersion: setup\/v1\.$/],
    ['a list', '- welcome\n', '1:1', /^The file must begin with/],
    ['no version', 'steps: {}\n', '1:1', /^apiVersion must be setup\/v1\.$/],
    ['another version', 'steps: {}\napiVersion: setup/v2\n', '2:1', /^apiVersion must be setup\/v1\.$/],
    ['no steps', top, '1:1', /^steps must hold the steps/],
    [
      'something beside',
      `${top}steps: {}\nstepz: {}\n`,
      '3:1',
      /^There is nothing named stepz\. Did you mean steps\?$/
    ],
    [
      'a strict check skipped',
      `${top}skip:\n  - { check: kms.pin-state, reason: in a hurry }\nsteps: {}\n`,
      '3:7',
      /kms\.pin-state is strict and cannot be skipped/
    ],
    [
      'a skip that is none',
      `${top}skip:\n  - { check: kafka.recrod, reason: by hand }\nsteps: {}\n`,
      '3:7',
      /Did you mean kafka\.record\?/
    ],
    ['a skip without reason', `${top}skip:\n  - { check: kafka.record }\nsteps: {}\n`, '3:5', /needs a reason/],
    ['a word for yes', `${top}continueAnyway: maybe\nsteps: {}\n`, '2:1', /true or false/],
    [
      'an unknown step',
      `${top}steps:\n  cp: {}\n  kmz:\n    a: 1\n`,
      '4:3',
      /^there is no step kmz \(steps: welcome, /
    ],
    ['an unknown step without fields', `${top}steps:\n  kmz:\n`, '3:3', /^there is no step kmz/],
    [
      'a field that another choice would ask for',
      `${top}steps:\n  kafka:\n    security: PLAINTEXT\n    username: bob\n`,
      '5:5',
      /^username does not apply, since security is PLAINTEXT: leave it out, or choose security: SASL_SSL\.$/
    ],
    [
      'a field of the other key store',
      inKms('    keyStore: nss\n    slot: 3\n'),
      '5:5',
      /^slot does not apply, since keyStore is nss: .* choose keyStore: gemalto-safenet\.$/
    ],
    [
      'a field of a box that is not ticked',
      `${top}steps:\n  database:\n    dbCa: garbage\n`,
      '4:5',
      /^dbCa does not apply, since dbTls is not ticked: leave it out, or set dbTls: true\.$/
    ],
    ['a list for a step', `${top}steps:\n  kms: [1]\n`, '3:3', /^A step holds its fields/],
    [
      'an unknown field',
      inKms('    slot: 3\n    sloot: 4\n'),
      '5:5',
      /^KMS Deployment has no field sloot\. Did you mean slot\?$/
    ],
    ['an unknown field without a value', inKms('    slot: 3\n    sloot:\n'), '5:5', /has no field sloot/],
    ['a name that every object has', inKms('    constructor: 1\n'), '4:5', /has no field constructor/],
    ['a prototype', inKms('    __proto__: {slot: 3}\n'), '4:5', /nothing named __proto__/],
    ['a value of the wrong kind', inKms('    keyStore: gemalto-safenet\n    slot: three\n'), '5:5', /slot/i],
    ['a port that is none', `${top}steps:\n  database:\n    dbPort: 70000\n`, '4:5', /65535/],
    [
      'a reference that is none',
      inKms('    password: {fil: pin}\n'),
      '4:5',
      /takes a value, or one of \{file: path\}, \{credential: name\}, \{env: NAME\}\.$/
    ],
    ['a file that is not there', inKms('    password: {file: gone.pin}\n'), '4:5', /gone\.pin is missing\.$/],
    ['a folder for a file', inKms('    partition: {file: .}\n'), '4:5', /is not a file\.$/]
  ]
  for (const [what, text, place, why] of cases) {
    test(what, async () => {
      const { message } = await refusal(text)
      assert.ok(message.startsWith(`${path}:${place}: `), message)
      assert.match(message.slice(`${path}:${place}: `.length), why)
    })
  }
})

test('a secret in a file that others may read is refused, and so is a file of secrets', async () => {
  const open = await refusal(inKms('    slot: 3\n    password: hidden-word\n'), 0o644)
  assert.match(open.message, /:5:5: password is a secret, and .* may be read by others\.$/)
  assert.match(open.cure ?? '', /^chmod 600 .*, or write \{file: …\}/)
  write('loose.pin', 'hidden-word', 0o640)
  const loose = await refusal(inKms('    password: {file: loose.pin}\n'))
  assert.match(loose.message, /:4:5: .*loose\.pin may be read by others \(mode 640\)\.$/)
  assert.equal(loose.cure, `chmod 600 ${join(folder, 'loose.pin')}`)
})

const notRoot = process.getuid?.() === 0 ? false : 'only root can give a file to somebody else'
test('a secret in a file of another user is refused to root, too, unless that user called sudo', {
  skip: notRoot
}, async () => {
  const text = inKms('    slot: 3\n    password: hidden-word\n')
  const file = write('answers.yaml', text)
  chownSync(file, 65534, 65534)
  const before = process.env.SUDO_UID
  try {
    delete process.env.SUDO_UID
    const { message } = await refusal(text)
    assert.match(message, /:5:5: password is a secret, and .* belongs to another user\.$/)
    process.env.SUDO_UID = '65534'
    assert.equal((await read(text)).steps.kms?.password, 'hidden-word')
    process.env.SUDO_UID = '65533'
    assert.match((await refusal(text)).message, /belongs to another user/)
  } finally {
    if (before === undefined) delete process.env.SUDO_UID
    else process.env.SUDO_UID = before
    rmSync(file)
  }
})

test('a FIFO, a device and a folder are refused at once; standard input is read', () => {
  const validate = (file: string, input = '') =>
    spawnSync(process.execPath, [join(import.meta.dirname, '../cli.mjs'), 'config', 'validate', file], {
      encoding: 'utf8',
      input,
      timeout: 20_000,
      killSignal: 'SIGKILL'
    })
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', ['-m', '600', fifo])
  for (const file of [fifo, '/dev/zero', folder]) {
    const { status, stderr } = validate(file)
    assert.deepEqual([status, stderr], [3, `keyscaler: ${file} cannot be read: it is not a file.\n`])
  }
  for (const file of ['-', '/dev/stdin']) {
    const { status, stderr } = validate(file, inKms('    sloot: 3\n'))
    assert.equal(status, 3, stderr)
    assert.ok(stderr.includes(`${file}:4:5: KMS Deployment has no field sloot.`), stderr)
  }
})

test('no message shows a password that was meant to stand in quotes', async () => {
  for (const sign of ['*', '&', '!', '%', '@', '`', '"', "'", '{', '[', '|', '>', '? ', '- ', '"\\q']) {
    const error = await read(inKms(`    password: ${sign}hidden-word\n    slot: 3\n`)).catch((thrown) => thrown)
    const said = error instanceof Error ? `${error.message} ${error instanceof AppError ? error.cure : ''}` : ''
    assert.doesNotMatch(said, /hidden-word/, sign)
  }
})

test('secrets come from 0600 files beside the answers file, without the last line end', async () => {
  write('right.pin', ' a pass phrase \n', 0o600)
  const file = await read(inKms('    password: {file: right.pin}\n    slot: 3\n'), 0o644)
  assert.deepEqual(file, { steps: { kms: { password: ' a pass phrase ', slot: 3 } }, continueAnyway: false })
})

test('a value may stand in the environment, or be a credential of the systemd unit', async () => {
  const credentials = mkdtempSync(join(folder, 'credentials-'))
  writeFileSync(join(credentials, 'hsm'), 'a pass phrase\n', { mode: 0o600 })
  process.env.CREDENTIALS_DIRECTORY = credentials
  process.env.KEYSCALER_TEST_PARTITION = 'HSMoDnFIPS'
  const text = inKms('    password: {credential: hsm}\n    partition: {env: KEYSCALER_TEST_PARTITION}\n')
  try {
    assert.deepEqual((await read(text, 0o644)).steps, {
      kms: { password: 'a pass phrase', partition: 'HSMoDnFIPS' }
    })
    chmodSync(join(credentials, 'hsm'), 0o644)
    assert.match((await refusal(text)).message, /:4:5: .*hsm may be read by others/)
  } finally {
    delete process.env.CREDENTIALS_DIRECTORY
    delete process.env.KEYSCALER_TEST_PARTITION
  }
  const gone = await refusal(text)
  assert.match(gone.message, /:4:5: there is no credentials folder to take hsm from\.\n.*:5:5: the environment has no /)
  assert.match(gone.cure ?? '', /LoadCredential=hsm/)
})

test('everything that is wrong is told at once', async () => {
  const { message } = await refusal(
    `${inKms('    keyStore: gemalto-safenet\n    slot: three\n    partion: x\n')}  databse: {}\n  cp:\n    cpHost: ftp://x\n`
  )
  const lines = message.split('\n').map((line) => line.slice(path.length))
  assert.deepEqual(
    lines.map((line) => line.slice(0, 5)),
    [':6:5:', ':5:5:', ':7:3:', ':9:5:']
  )
  assert.match(lines[0] ?? '', /no field partion\. Did you mean partition\?$/)
  assert.match(lines[2] ?? '', /no step databse .* Did you mean database\?$/)
})

test('no problem hides another: of the top level, of skipped checks and of steps all are told, each at its place', async () => {
  const { message } = await refusal(
    `${top}continueAnway: true\nskp: []\nskip:\n  - { chek: kafka.record, reason: by hand }\nsteps:\n  welcome: [a]\n  databse: {}\n  kms:\n    sloot: 3\n`
  )
  const lines = message.split('\n').map((line) => line.slice(path.length))
  assert.deepEqual(
    lines.map((line) => line.replace(/ \(steps: .*?\)/, '')),
    [
      ':5:7: There is nothing named chek. Did you mean check?',
      ':2:1: There is nothing named continueAnway. Did you mean continueAnyway?',
      ':3:1: There is nothing named skp. Did you mean skip?',
      ':7:3: A step holds its fields, as name: value.',
      ':8:3: there is no step databse. Did you mean database?',
      ':10:5: KMS Deployment has no field sloot. Did you mean slot?'
    ]
  )
})

test('a whole file names what is missing, the steps that are not there too', async () => {
  const error = await readAnswersFile(write('part.yaml', `${top}steps:\n  cp: {}\n`), steps, { whole: true }).catch(
    (thrown: unknown) => thrown
  )
  assert.ok(error instanceof AppError)
  assert.match(error.message, /part\.yaml:3:3: cpHost: You must provide a value for Cp Hostname\.$/m)
  assert.match(error.message, /part\.yaml:2:1: dbHost: You must provide a value for Database Host\.$/m)
})

test('JSON is taken as it is', async () => {
  const json = JSON.stringify({ apiVersion: 'setup/v1', steps: { mqs: { mqsHost: 'https://mqs.example' } } }, null, 2)
  assert.deepEqual((await read(json)).steps, { mqs: { mqsHost: 'https://mqs.example' } })
})

test('a field left empty is a field not given, and a step may be left out', async () => {
  assert.deepEqual(await read(`${top}continueAnyway: true\nsteps:\n  cp:\n  database:\n    dbCa:\n`), {
    steps: { cp: {}, database: {} },
    continueAnyway: true
  })
})

test('suggestions for the form leave out secrets and ticks', async () => {
  const text = `${top}steps:\n  welcome: {acceptTerms: true}\n  database: {dbHost: db.example, dbPassword: hidden-word}\n`
  const suggestions = suggestionsFrom(await read(text), steps)
  assert.deepEqual([suggestions.welcome, suggestions.database], [{}, { dbHost: 'db.example' }])
})

test('keyscaler apply ends with 3, says where, and has not even made the state folder', () => {
  const stateDir = join(folder, 'state')
  const apply = (file: string) => {
    const args = [join(import.meta.dirname, '../cli.mjs'), 'apply', file, '--state', stateDir]
    return spawnSync(process.execPath, args, { encoding: 'utf8' })
  }
  const wrong = apply(write('wrong.yaml', inKms('    sloot: 4\n')))
  assert.equal(wrong.status, 3, wrong.stderr)
  assert.equal(wrong.stdout, '')
  assert.match(
    wrong.stderr,
    /^keyscaler: .*wrong\.yaml:4:5: KMS Deployment has no field sloot\. Did you mean slot\?\n$/
  )
  const gone = apply(join(folder, 'nowhere.yaml'))
  assert.equal(gone.status, 3, gone.stderr)
  assert.match(gone.stderr, /nowhere\.yaml cannot be read/)
  assert.equal(existsSync(stateDir), false)
})
