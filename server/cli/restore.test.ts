/** What `keyscaler restore` finds in a state folder and leaves there, and what is said of one that was cut off. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

/** Made by `keyscaler prerequisites`, `hsm import` and `destroy`, by their paths in the state folder. */
const ofThisMachine = [
  'prerequisites/database-password',
  'hsm-client.json',
  'hsm-client.env',
  'tls/wizard-web.crt',
  'tls/wizard-web.key'
]

describe('keyscaler restore', { concurrency: 1, timeout: 200_000 }, () => {
  let world: InstallWorld
  let file: string
  let word: string
  before(async () => {
    world = await openInstallWorld()
    file = join(world.dir, 'site.backup')
    word = join(world.dir, 'passphrase')
    writeFileSync(word, 'three words and a comma,\n', { mode: 0o600 })
    const answers = world.answersFile()
    for (const step of ['welcome', 'database']) {
      const { code, stderr } = await world.apply(answers, '--only', step, '--exit').ended
      assert.equal(code, 0, stderr)
    }
    for (const path of ofThisMachine) put(path, 'of the backup')
    const { code, stderr } = await world.run('backup', '--to', file, '--passphrase-file', word).ended
    assert.equal(code, 0, stderr)
    const gone = await world.destroy('--yes').ended
    assert.equal(gone.code, 0, gone.stderr)
    rmSync(world.stateDir, { recursive: true, force: true })
  })
  after(() => world.close())

  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(world.stateDir, path)), { recursive: true, mode: 0o700 })
    writeFileSync(join(world.stateDir, path), content, { mode: 0o600 })
  }
  const restore = () => world.run('restore', '--from', file, '--passphrase-file', word)

  test('a file that the product does not put there is in the way, and named', async () => {
    for (const path of ['tls/wizard.crt', 'mine/notes']) {
      put(path, 'mine')
      const { code, stderr } = await restore().ended
      assert.deepEqual([code, stderr.includes(`is not empty (${dirname(path)})`)], [7, true], stderr)
      rmSync(join(world.stateDir, dirname(path)), { recursive: true })
    }
  })

  test('cut off, it and destroy say how to go on and how to give it up', async () => {
    for (const path of [...ofThisMachine, 'left-behind.json']) put(path, 'of this machine')
    await restore().killedWhenItSays(/Writing the state folder/)
    // As early as it can be: nothing but the marker says what this folder is.
    rmSync(join(world.stateDir, 'boot.json'), { force: true })
    for (const args of [
      ['destroy', '--yes'],
      ['backup', '--to', `${file}2`, '--passphrase-file', word]
    ]) {
      const { code, stderr } = await world.run(...args).ended
      assert.equal(code, 7, stderr)
      assert.match(stderr, /was begun and is not over.*Run keyscaler restore again/s)
      assert.match(
        stderr,
        new RegExp(`move the folder ${world.stateDir} away and drop the .*database ${world.database}`)
      )
    }
  })

  test('what prerequisites, hsm import and destroy left on this machine stays as it is, also when it was killed', async () => {
    const { code, stderr } = await restore().ended
    assert.equal(code, 0, stderr)
    assert.match(stderr, /It had no services yet: none was started/)
    assert.doesNotMatch(stderr, /ready/)
    for (const path of [...ofThisMachine, 'left-behind.json']) {
      assert.equal(readFileSync(join(world.stateDir, path), 'utf8'), 'of this machine', path)
    }
    assert.equal(existsSync(join(world.stateDir, 'boot.json')), true)
  })
})
