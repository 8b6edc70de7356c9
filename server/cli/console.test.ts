import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { fromRoot } from '../../sandbox/root.ts'
import { portFrom } from './console.ts'

test('a port is a whole number from 0 to 65535, and anything else is named', () => {
  assert.deepEqual(
    ['0', '8080', '65535'].map((typed) => portFrom(typed)),
    [0, 8080, 65535]
  )
  for (const typed of ['', '-1', '65536', '80a', '1e3', '8080.5', ' 80', '0x50']) {
    assert.throws(
      () => portFrom(typed),
      (error) => error instanceof AppError && error.code === 'invalid-input' && error.message.includes(`not ${typed}`),
      typed
    )
  }
})

test('what is wrong with the command line itself ends with 2, whichever command it is', () => {
  const lines = [
    ['plan'],
    ['plan', '-f', 'a', 'b'],
    ['apply'],
    ['serve', '--port', '99999'],
    ['serve', '--tls-key', 'a'],
    ['support-bundle'],
    ['prerequisites', '--without', 'datbase'],
    ['no-such-command']
  ]
  for (const line of lines) {
    const { status, stderr } = spawnSync(process.execPath, [fromRoot('server/cli.mjs'), ...line], { encoding: 'utf8' })
    assert.equal(status, 2, `${line.join(' ')}: ${stderr}`)
  }
})
