import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { inspectModuleFile } from './elf.ts'
import { openKeyStore } from './open-key-store.ts'
import { openPinGuard } from './pin-guard.ts'

const folder = mkdtempSync(join(tmpdir(), 'proved-'))
after(() => rmSync(folder, { recursive: true }))

describe('a library that was proved', () => {
  it('is opened; another file in its place is not loaded, and costs no login', async () => {
    const pin = 'crypto-officer-1'
    const lunaFolder = join(folder, 'luna')
    const { module, confPath, slot, label } = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
    const config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label } as const
    const options = { guard: openPinGuard(join(folder, 'state')) }
    const steps: string[] = []
    const other = openKeyStore({ ...config, moduleSha256: 'ab'.repeat(32) }, pin, {
      ...options,
      onStep: (step) => steps.push(step)
    })
    await assert.rejects(other, { code: 'conflict', message: /is not the one that was proved: .* It was not loaded/ })
    assert.deepEqual([steps, (await readLunaState(lunaFolder)).logins], [[], 0])
    const { sha256 } = await inspectModuleFile(module)
    await (await openKeyStore({ ...config, moduleSha256: sha256 ?? '' }, pin, options)).close()
  })
})
