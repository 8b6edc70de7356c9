import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readLunacm } from './read-lunacm.ts'

const slotList = `
lunacm (64-bit) v7.2.0. Copyright (c) 2018.
lunacm:>slot list

        Slot Id ->              3
        Label ->                HSMoDnFIPS
        Serial Number ->        1285296213941
        Model ->                Cryptovisor7
        Firmware Version ->     7.1.3
        Configuration ->        Luna User Partition With SO (PW) Signing With Cloning Mode
        Slot Description ->     Net Token Slot

        Slot Id ->              5
        HSM Label ->            group one
        HSM Serial Number ->    11285296213941
        HSM Model ->            LunaVirtual
        HSM Firmware Version -> 7.0.1
        HSM Configuration ->    Luna Virtual HSM (PW) Signing With Cloning Mode
        HSM Status ->           N/A - HA Group

        Current Slot Id: 3

Command Result : No Error
`

const showInfo = `lunacm:>par showinfo

        Partition Label ->              HSMoDnFIPS
        Partition Manufacturer ->       Safenet, Inc.
        Partition Model ->              Cryptovisor7
        Partition Serial Number ->      1285296213941
        Partition Status ->             L3 Device, Error querying state
        Token Flags ->
                        CKF_RNG
                        CKF_LOGIN_REQUIRED
                        CKF_USER_PIN_INITIALIZED
                        CKF_RESTORE_KEY_NOT_NEEDED
                        CKF_TOKEN_INITIALIZED
        Slot Id ->                      3
        Session State ->                CKS_RW_PUBLIC_SESSION
        Role Status ->                  none logged in

        Partition Storage:
                Total Storage Space:  159744
                Used Storage Space:   0
                Free Storage Space:   159744
                Object Count:         0
                Overhead:             9664

        *** The partition is NOT in FIPS 140-2 approved operation mode. ***

Command Result : No Error
`

const vtlVerify = `vtl (64-bit) v10.7.2-16. Copyright (c) 2024. All rights reserved.

The following Luna SA Slots/Partitions were found:

Slot\tSerial #        \tLabel
====\t================\t=====
   0\t       534071053 \tpartition six
   1       1682975235230        SP_SKS
   2       1682975235231
`

const guide = { slot: 3, label: 'HSMoDnFIPS', serial: '1285296213941', model: 'Cryptovisor7' }

describe('text pasted from a terminal', () => {
  it('is a slot list: every partition, the HA group known as one, and the current slot', () => {
    const facts = readLunacm(slotList)
    assert.deepEqual([facts?.kind, facts?.currentSlot, facts?.partitions.length], ['slot-list', 3, 2])
    assert.partialDeepStrictEqual(facts?.partitions[0], {
      ...guide,
      firmware: '7.1.3',
      description: 'Net Token Slot',
      haGroup: false
    })
    const group = { slot: 5, label: 'group one', serial: '11285296213941', model: 'LunaVirtual', haGroup: true }
    assert.partialDeepStrictEqual(facts?.partitions[1], group)
  })

  it('is partition showinfo: flags, storage and FIPS line, and the status of the good run', () => {
    const facts = readLunacm(showInfo)
    assert.equal(facts?.kind, 'partition-showinfo')
    assert.deepEqual(facts?.partitions, [
      {
        ...guide,
        firmware: null,
        manufacturer: 'Safenet, Inc.',
        status: 'L3 Device, Error querying state',
        description: null,
        haGroup: false,
        flags: ['RNG', 'LOGIN_REQUIRED', 'USER_PIN_INITIALIZED', 'RESTORE_KEY_NOT_NEEDED', 'TOKEN_INITIALIZED'],
        storage: { total: 159744, used: 0, free: 159744, objects: 0 },
        fips: false
      }
    ])
    const approved = readLunacm(showInfo.replace('is NOT in', 'is in'))
    assert.equal(approved?.partitions[0]?.fips, true)
  })

  it('is a whole session: one partition, with all that either command said', () => {
    const facts = readLunacm(slotList.slice(0, slotList.indexOf('Slot Id ->              5')) + showInfo)
    assert.equal(facts?.partitions.length, 1)
    assert.partialDeepStrictEqual(facts?.partitions[0], { ...guide, firmware: '7.1.3', fips: false })
  })

  it('is vtl verify: slot, serial and label, a label of several words and none too', () => {
    const facts = readLunacm(vtlVerify)
    assert.equal(facts?.kind, 'vtl-verify')
    assert.deepEqual(
      facts?.partitions.map(({ slot, serial, label }) => [slot, serial, label]),
      [
        [0, '534071053', 'partition six'],
        [1, '1682975235230', 'SP_SKS'],
        [2, '1682975235231', '']
      ]
    )
  })

  it('is vtl verify that found none', () => {
    const facts = readLunacm('Error: Unable to find any Luna SA Slots/Partitions among registered server.')
    assert.deepEqual(facts, { kind: 'vtl-verify', partitions: [], currentSlot: null })
  })

  it('may have colours, line ends of Windows, and a label that is not there yet', () => {
    const pasted = slotList.replaceAll('\n', '\r\n').replace('HSMoDnFIPS', '').replace('Label', '\x1b[1mLabel\x1b[0m')
    assert.partialDeepStrictEqual(readLunacm(pasted)?.partitions[0], { ...guide, label: '' })
  })

  it('is nothing that we know', () => {
    const texts = ['', 'Slot Id -> 3', 'hello: world', '-> -> ->', 'x'.repeat(300_000), 'Serial Number -> <b>1</b>']
    for (const text of texts) assert.equal(readLunacm(text), null, text.slice(0, 40))
  })
})
