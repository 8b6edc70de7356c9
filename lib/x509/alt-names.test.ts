import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { SocketAddress } from 'node:net'
import { test } from 'node:test'
import { decodeAltNames, encodeAltNames } from './alt-names.ts'
import { sequence, tlv } from './der.ts'

test('any address keeps its octets, and has one spelling', () => {
  for (let i = 0; i < 2000; i++) {
    // Zeros are where the short forms differ.
    const octets = randomBytes(16).map((octet) => (randomInt(3) === 0 ? octet : 0))
    const long = (Buffer.from(octets).toString('hex').match(/.{4}/g) ?? []).join(':')
    const encoded = encodeAltNames({ dnsNames: [], ipAddresses: [long], uris: [] })
    assert.deepEqual(encoded, sequence(tlv(0x87, octets)))
    const [address = ''] = decodeAltNames(encoded).ipAddresses
    assert.equal(
      new SocketAddress({ family: 'ipv6', address }).address,
      new SocketAddress({ family: 'ipv6', address: long }).address
    )
  }
})

test('the same name in two spellings is one name', () => {
  const names = {
    dnsNames: ['A.example', 'a.example.'],
    ipAddresses: ['::1', '0:0::1', '10.0.0.1'],
    uris: ['urn:a:b', 'urn:a:b']
  }
  const encoded = encodeAltNames(names)
  assert.ok(encoded !== null)
  assert.deepEqual(decodeAltNames(encoded), {
    dnsNames: ['a.example'],
    ipAddresses: ['::1', '10.0.0.1'],
    uris: ['urn:a:b'],
    others: 0
  })
})

test('no names are no extension, and too many or malformed ones are refused', () => {
  assert.equal(encodeAltNames({ dnsNames: [], ipAddresses: [], uris: [] }), null)
  const many = Array.from({ length: 101 }, (_, n) => `host-${n}.example`)
  assert.throws(() => encodeAltNames({ dnsNames: many, ipAddresses: [], uris: [] }), { code: 'invalid-input' })
  for (const bad of [
    '',
    '.',
    'a..b',
    '-a',
    'a-',
    'a_b',
    `${'a'.repeat(64)}.b`,
    `${'a.'.repeat(127)}bb`,
    'ä.example',
    '1.2.3.4',
    'a b',
    'a\n'
  ]) {
    assert.throws(() => encodeAltNames({ dnsNames: [bad], ipAddresses: [], uris: [] }), { code: 'invalid-input' }, bad)
  }
  for (const value of [
    sequence(),
    sequence(tlv(0x87, Buffer.alloc(5))),
    Buffer.concat([sequence(tlv(0x82)), Buffer.alloc(1)])
  ]) {
    assert.throws(() => decodeAltNames(value))
  }
})
