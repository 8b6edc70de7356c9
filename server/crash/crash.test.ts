/** A few of the points that `npm run test:crash` goes through by the hundred, one of each sort. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { openInstallWorld } from '../testing/world.ts'
import { differences } from './digest.ts'
import { diskPoints, killPoints, nameOf, pointFrom, sample } from './points.ts'
import { race } from './races.ts'
import { type Reference, referenceRun, runPoint } from './run-point.ts'

describe('kill points', { timeout: 110_000 }, () => {
  let reference: Reference
  before(async () => {
    reference = await referenceRun()
  })

  test('there are thousands: every call and every statement of an install, from both sides', () => {
    const { calls, packets } = reference
    const points = killPoints(calls, packets.length)
    assert.ok(points.length > 2000, `${points.length} points`)
    assert.ok(diskPoints(calls).length > 500)
    const kinds = new Set(calls.map(({ call }) => call))
    for (const call of [
      'create',
      'write',
      'fsync',
      'rename',
      'link',
      'mkdir',
      'unlink',
      'fork',
      'agent',
      'peer',
      'sql'
    ]) {
      assert.ok(kinds.has(call), call)
    }
    const [some, same] = [sample(points, 40, 'seed'), sample(points, 40, 'seed')]
    assert.deepEqual(some.map(nameOf), same.map(nameOf))
    assert.notDeepEqual(sample(points, 40, 'another').map(nameOf), some.map(nameOf))
  })

  test('the digest tells a lost file, a second row and another mode from the same end', () => {
    const { digest } = reference
    const files = digest.files as readonly string[]
    assert.deepEqual(differences(digest, structuredClone(digest)), [])
    assert.equal(differences(digest, { ...digest, files: files.slice(1) }).length, 2)
    assert.equal(differences(digest, { ...digest, files: [...files, files[0]] }).length, 1)
    assert.ok(differences(digest, { ...digest, rows: { ...(digest.rows as object), kms_keys: 99 } }).length > 0)
  })

  describe('run again, each comes to the same end', { concurrency: 2 }, () => {
    // A file in the middle of being written; a process just started; a statement done and not known to be; a full disk.
    for (const name of ['write 8 torn', 'fork 5 after', 'statement 100 reset-after', 'create 44 ENOSPC']) {
      test(name, async () => {
        const { struck, problems } = await runPoint(pointFrom(name), reference.digest)
        assert.notEqual(struck, null)
        assert.deepEqual(problems, [])
      })
    }

    test('of two applies at once exactly one works, also where the one before was killed', async (t) => {
      const world = await openInstallWorld()
      t.after(() => world.close())
      const answers = world.answersFile()
      for (const kill of [true, false, true]) assert.deepEqual(await race(world, answers, kill), { problems: [] })
    })
  })
})
