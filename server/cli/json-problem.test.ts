import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../../sandbox/root.ts'
import { stateFolder } from '../steps/testing.ts'

const folder = stateFolder()
const bad = join(folder, 'bad.yaml')
writeFileSync(bad, 'apiVersion: setup/v1\nsteps:\n  kms:\n    sloot: 3\n', { mode: 0o600 })

for (const command of [['config', 'validate'], ['plan'], ['apply']]) {
  test(`keyscaler ${command.join(' ')} --output json says on stdout what is wrong with a file, and where`, () => {
    const args = [...command, bad, '--output', 'json', '--state', join(folder, 'state')]
    const { status, stdout, stderr } = spawnSync(process.execPath, [fromRoot('server/cli.mjs'), ...args], {
      encoding: 'utf8'
    })
    assert.equal(status, 3, stderr)
    const { problem, ...beside } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    assert.deepEqual(beside, command[0] === 'config' ? { valid: false } : {})
    assert.deepEqual([problem.type, problem.code], ['/problems/invalid-input', 'invalid-input'])
    const detail = 'KMS Deployment has no field sloot. Did you mean slot?'
    const [first] = problem.errors
    assert.deepEqual(first, { pointer: '/steps/kms/sloot', detail, place: `${bad}:4:5` })
  })
}

test('a command line that is wrong is told so, too', () => {
  const args = ['plan', '--output', 'json']
  const { status, stdout } = spawnSync(process.execPath, [fromRoot('server/cli.mjs'), ...args], { encoding: 'utf8' })
  const { problem } = JSON.parse(stdout)
  assert.deepEqual([status, problem.detail], [2, 'No answers file was named.'])
  assert.match(problem.cure, /config defaults/)
})
