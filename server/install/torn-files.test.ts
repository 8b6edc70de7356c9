import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { sweepTornFiles } from './torn-files.ts'

test('drafts of a writer that is gone are removed; those of one that lives, and everything else, stay', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ks-torn-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const gone = spawnSync('true').pid
  const drafts = (pid: number) => [
    `boot.json.${pid}.0123456789ab.tmp`,
    `wizard.lock.${pid}.1`,
    `wizard.lock.claim-${'0a'.repeat(12)}.${pid}.2`,
    `pin-guard/41af.json.${pid}.new`,
    `pin-guard/41af.json.lock.${pid}.17`,
    `pin-guard/hmac.key.${pid}`,
    `pin-guard/hmac.key.${pid}.${pid}.new`
  ]
  const living = drafts(process.pid)
  const others = ['boot.json', 'wizard.lock', 'pin-guard/41af.json', `run/kms/service.log.${gone}`, `kept.${gone}`]
  for (const name of [...drafts(gone), ...living, ...others]) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), '')
  }
  assert.deepEqual([...(await sweepTornFiles(folder))].sort(), drafts(gone).sort())
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  assert.equal(files.length, living.length + others.length)
  assert.deepEqual(await sweepTornFiles(folder), [])
})
