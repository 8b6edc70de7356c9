/** A browser's form, a scripted POST and an answers file: the same answers come to the same end, whichever door they took. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type Digest, differences, digestOf } from './crash/digest.ts'
import { stepIds } from './steps/step.ts'
import { type Door, openDoor } from './testing/door.ts'
import { type Answers, type InstallWorld, openInstallWorld } from './testing/world.ts'

/** Of the door itself: the wizard's code, sessions and lock, and where an answers file's run puts what a page would show once. */
const ofTheDoor = /\b(?:setup-code|access|session|shown-once|wizard\.lock)/

describe('three doors', { concurrency: 1, timeout: 110_000 }, () => {
  const worlds: InstallWorld[] = []
  const ends: Digest[] = []
  after(() => Promise.all(worlds.map((world) => world.close())))

  const through = async (install: (world: InstallWorld) => Promise<void>): Promise<void> => {
    const world = await openInstallWorld()
    worlds.push(world)
    await install(world)
    const digest = await digestOf(world)
    const files = (digest.files as readonly string[]).filter((name) => !ofTheDoor.test(name))
    ends.push({ ...digest, files })
  }

  test('an answers file', () =>
    through(async (world) => {
      const { code, stderr } = await world.apply(world.answersFile(), '--exit').ended
      assert.equal(code, 0, stderr)
    }))

  test('POSTs of a script, as JSON', () =>
    through(async (world) => {
      const door = await opened(world)
      await door.enterAsScript(codeOf(world))
      for (const id of stepIds) {
        const { status, text } = await door.post(id, world.answers[id])
        assert.equal(status, 303, `${id}: ${text}`)
      }
    }))

  test("a browser's forms", () =>
    through(async (world) => {
      const door = await opened(world)
      await door.enterAsBrowser(codeOf(world))
      for (const id of stepIds) {
        const { status, text } = await door.send(`/setup/steps/${id}`, formOf(world.answers[id]))
        assert.equal(status, 303, `${id}: ${text}`)
      }
    }))

  test('come to the same end', () => {
    const [file, ...others] = ends
    assert.ok(file !== undefined && others.length === 2)
    for (const other of others) assert.deepEqual(differences(file, other), [])
  })
})

async function opened(world: InstallWorld): Promise<Door> {
  await world.serve().said(/^Setup code:/)
  return openDoor(world.url)
}

function codeOf({ stateDir }: InstallWorld): string {
  return readFileSync(join(stateDir, 'setup-code'), 'utf8').trim()
}

/** As a browser sends it: everything is text, a tick is "on". */
function formOf(answers: Answers): Record<string, string> {
  return Object.fromEntries(
    Object.entries(answers).map(([name, value]) => [name, value === true ? 'on' : String(value)])
  )
}
