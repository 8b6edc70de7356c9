/** What is wrong in an order for plan and apply is said in the product's words, at its place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../lib/errors/app-error.ts'
import { steps } from '../../install/steps.ts'
import { wantedFrom } from './wanted-answers.ts'

/** Of zod, where no message of ours stands: it names no field. */
const itsOwn = /Invalid input|expected|received|Unrecognized|Too (big|small)/

const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], 'x')
const strange = [deep, [['a']], [1], { a: 1 }, 7, true, null, ['a', 'b']]
/** Which other fields a step has is decided by this one. */
const choices: Readonly<Record<string, readonly object[]>> = {
  kms: [{ keyStore: 'nss' }, { keyStore: 'gemalto-safenet' }],
  kafka: [{ security: 'PLAINTEXT' }, { security: 'SSL' }, { security: 'SASL_SSL', mechanism: 'plain' }]
}

function refusalOf(body: unknown): Readonly<Record<string, string>> {
  try {
    wantedFrom(body, steps)
    return {}
  } catch (thrown) {
    assert.ok(thrown instanceof AppError && thrown.fields !== undefined, String(thrown))
    return thrown.fields
  }
}

test('a value of the wrong shape is refused by the name of its field, in every field of every step', () => {
  let refused = 0
  for (const { id, fields } of steps) {
    for (const name of Object.keys(fields)) {
      for (const given of (choices[id] ?? [{}]).flatMap((choice) =>
        strange.map((value) => ({ ...choice, [name]: value }))
      )) {
        for (const [place, why] of Object.entries(refusalOf({ steps: { [id]: given } }))) {
          refused += 1
          assert.doesNotMatch(why, itsOwn, `${place} ${JSON.stringify(given).slice(0, 80)}`)
        }
      }
    }
  }
  assert.ok(refused > 300, String(refused))
  assert.match(refusalOf({ steps: { memcached: { servers: deep } } })['steps/memcached/servers'] ?? '', /Memcached/)
  assert.match(refusalOf({ steps: { dae: { caSubject: deep } } })['steps/dae/caSubject'] ?? '', /CA subject/)
})

test('so is what stands beside the steps, each at its place', () => {
  for (const member of ['$schema', 'apiVersion', 'continueAnyway', 'skip', 'steps']) {
    for (const value of [deep, ['a'], [1], 7, null]) {
      const [[place = '', why = ''] = []] = Object.entries(refusalOf({ [member]: value }))
      assert.match(place, new RegExp(`^${member.replace('$', '\\$')}(/0)?$`), JSON.stringify(value)?.slice(0, 40))
      assert.doesNotMatch(why, itsOwn, member)
    }
  }
  const skip = [{ check: 'kafka.record', reason: 'not there', until: 'May' }]
  assert.deepEqual(refusalOf({ skip }), { 'skip/0/until': 'There is nothing named until here.' })
})
