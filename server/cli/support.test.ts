/** `keyscaler support-bundle` from outside: what it lists is what is in it, and no secret is, wherever one was planted. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { leaksIn } from '../testing/canaries.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

describe('keyscaler support-bundle', { concurrency: 1, timeout: 200_000 }, () => {
  let world: InstallWorld
  let canaries: Map<string, string>
  before(async () => {
    world = await openInstallWorld()
    const { database, kms, account } = world.answers
    canaries = new Map(
      Object.entries({ db: database.dbPassword, pin: kms.password, admin: account.password }).map(([name, secret]) => [
        name,
        String(secret)
      ])
    )
  })
  after(() => world.close())

  function unpacked(file: string): Map<string, string> {
    const folder = `${file}.d`
    mkdirSync(folder)
    execFileSync('tar', ['-xzf', file, '-C', folder])
    const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    return new Map(
      names.map(({ parentPath, name }) => {
        const path = join(parentPath, name)
        return [path.slice(folder.length + 1), readFileSync(path, 'utf8')]
      })
    )
  }

  test('without an install it tells of the machine, and of what is not there', async () => {
    const { code, stdout, stderr } = await world.run('support-bundle', '--preview', 'about.json').ended
    assert.equal(code, 0, stderr)
    assert.match(JSON.parse(stdout).node, /^v\d/)
    const none = await world.run('support-bundle', '--preview', 'ledger.json').ended
    assert.match(none.stdout, /no install that can be opened/)
    const both = await world.run('support-bundle').ended
    assert.deepEqual([both.code, /one of --to and --preview/.test(both.stderr)], [2, true])
  })

  test('of an install it holds what the preview lists, and no secret, not one that stands in a log either', async () => {
    const applied = await world.apply(world.answersFile(), '--exit').ended
    assert.equal(applied.code, 0, applied.stderr)
    for (const name of ['database-kms', 'database-dae']) {
      canaries.set(name, readFileSync(join(world.stateDir, 'credentials', name), 'utf8'))
    }
    canaries.set('key of the wizard', readFileSync(join(world.stateDir, 'tls/wizard.key'), 'utf8').split('\n')[1] ?? '')
    const pin = canaries.get('pin') ?? ''
    const log = join(world.stateDir, 'run/kms/service.log')
    const line = {
      level: 'error',
      err: { message: `login with ${pin} failed` },
      note: Buffer.from(pin).toString('base64')
    }
    appendFileSync(
      log,
      `${JSON.stringify(line)}\nC_Login("${pin}")\n${JSON.stringify({ msg: 'Bearer abcdefghijk.lmn' })}\n`
    )

    const preview = await world.run('support-bundle', '--preview').ended
    const file = join(world.dir, 'bundle.tar.gz')
    const { code, stderr } = await world.run('support-bundle', '--to', file).ended
    assert.equal(code, 0, stderr)
    assert.equal(statSync(file).mode & 0o077, 0)
    const files = unpacked(file)
    const listed = preview.stdout
      .trim()
      .split('\n')
      .map((row) => row.split(' ')[0] ?? '')
    assert.deepEqual([...files.keys()].sort(), ['CONTENTS.txt', ...listed].sort())
    for (const [name, text] of files) assert.deepEqual(leaksIn(canaries, name, text), [])
    const kmsLog = files.get('run/kms/service.log') ?? ''
    assert.match(kmsLog, /login with \[redacted\] failed/)
    assert.match(kmsLog, /1 lines that are not of the log are left out/)
    assert.doesNotMatch(kmsLog, /abcdefghijk/)
    assert.doesNotMatch([...files.values()].join(''), /Ada Lovelace|ada@acme/)
    assert.match(files.get('answers.json') ?? '', /"secretsKept": \[\s+"dbPassword"/)
    assert.match(files.get('run/kms/config.json') ?? '', /"pinFile": "\/.*kms-password"/)
    assert.match(files.get('services.json') ?? '', /"kms"/)
    const again = await world.run('support-bundle', '--to', file).ended
    assert.deepEqual([again.code, /cannot be written: EEXIST/.test(again.stderr)], [3, true])
  })

  test('without its database it is made all the same, and says what could not be had', async () => {
    const boot = join(world.stateDir, 'boot.json')
    const text = readFileSync(boot, 'utf8')
    writeFileSync(boot, text.replace(/"dbPort": \d+/, '"dbPort": 1'))
    const { code, stdout } = await world.run('support-bundle', '--preview', 'ledger.json').ended
    writeFileSync(boot, text)
    assert.deepEqual([code, /^This could not be had: /.test(stdout)], [0, true], stdout)
  })
})
