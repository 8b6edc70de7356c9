import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../../sandbox/root.ts'
import { stateFolder } from '../steps/testing.ts'

test('keyscaler apply refuses to skip a strict or unknown check before anything is touched', async () => {
  const folder = stateFolder()
  const [file, state] = [join(folder, 'answers.yaml'), join(folder, 'state')]
  writeFileSync(file, 'apiVersion: setup/v1\nsteps: {}\n')
  const asked = ['--skip', 'kms.pin-state=in a hurry', '--skip', 'kafka.recrod=by hand']
  const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      [fromRoot('server/cli.mjs'), 'apply', file, '--state', state, ...asked],
      (error, _out, said) => resolve({ code: error?.code ?? 0, stderr: said })
    )
  })
  assert.equal(code, 2)
  assert.match(stderr, /kms\.pin-state is strict and cannot be skipped: .* Did you mean kafka\.record\?/)
  assert.ok(!existsSync(state))
})
