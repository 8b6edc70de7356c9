import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseChrystokiConf } from '../luna-client/chrystoki-conf.ts'
import { haGroupOf, haGroupsIn } from './ha-groups.ts'
import { type SlotFacts, tokenFlags } from './token-facts.ts'

const conf = `
Chrystoki2 = { LibUNIX64 = /usr/safenet/lunaclient/lib/libCryptoki2_64.so; }
VirtualToken = {
  VirtualToken00Label = keyscaler-ha;
  VirtualToken00SN = 11238700701509;
  VirtualToken00Members = 1238700701509,1238700701510;
  VirtualToken01Label = spare;
  VirtualToken01SN = 11238700701511;
  VirtualTokenActiveRecovery = activeEnhanced;
}
HAConfiguration = { HAOnly = 1; }
`

function token(serial: string, model: string): SlotFacts {
  const memory = { total: null, free: null }
  const flags = tokenFlags(0x40c)
  return { slot: 5, label: 'a', serial, manufacturer: '', model, firmware: '7.1', flags, memory, maxSessions: null }
}

describe('HA groups', () => {
  const groups = haGroupsIn(parseChrystokiConf(conf))

  it('are read from the configuration of the client, with their members', () => {
    assert.deepEqual(groups, [
      { label: 'keyscaler-ha', serial: '11238700701509', members: ['1238700701509', '1238700701510'] },
      { label: 'spare', serial: '11238700701511', members: [] }
    ])
    assert.deepEqual(haGroupsIn(parseChrystokiConf('Chrystoki2 = { LibUNIX64 = /x; }')), [])
  })

  it('are known by the serial of their virtual slot, or by what the token says of itself', () => {
    assert.equal(haGroupOf(token('11238700701509', 'LunaVirtual'), groups)?.members.length, 2)
    assert.deepEqual(haGroupOf(token('77', 'LunaVirtual'), groups), { label: 'a', serial: '77', members: [] })
    assert.equal(haGroupOf(token('1238700701509', 'Luna K7'), groups), null)
  })
})
