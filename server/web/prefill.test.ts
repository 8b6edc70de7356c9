import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onSameHost } from './prefill.ts'

test('an address is prefilled with the host of the one before, without the port that it has', () => {
  assert.deepEqual(
    ['https://kms.example:9500', 'https://kms.example:9500/', 'https://[::1]:9443', 'http://10.0.0.1:80'].map(
      onSameHost
    ),
    ['https://kms.example', 'https://kms.example', 'https://[::1]', 'http://10.0.0.1']
  )
  const as = ['https://kms.example', 'https://[::1]', 'kms.example', '', undefined, 5]
  assert.deepEqual(as.map(onSameHost), as)
})
