import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { portFrom } from './console.ts'

test('a port is a whole number from 0 to 65535, and anything else is named', () => {
  assert.deepEqual(['0', '8080', '65535'].map(portFrom), [0, 8080, 65535])
  for (const typed of ['', '-1', '65536', '80a', '1e3', '8080.5', ' 80', '0x50']) {
    assert.throws(
      () => portFrom(typed),
      (error) => error instanceof AppError && error.code === 'invalid-input' && error.message.includes(`not ${typed}`),
      typed
    )
  }
})
