/** Looks at the services' own ports by listening on them: @fixed-ports. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../../sandbox/root.ts'
import { stateFolder } from '../steps/testing.ts'

function preflight(...args: readonly string[]): Promise<{ code: unknown; stdout: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [fromRoot('server/cli.mjs'), 'preflight', ...args], (error, stdout) =>
      resolve({ code: error?.code ?? 0, stdout })
    )
  })
}

test('keyscaler preflight tells a program and a person the same, and ends with 4 when something fails', async () => {
  const file = join(stateFolder(), 'boot.json', 'is', 'no', 'folder')
  const nowhere = await preflight('--state', join('/etc/passwd', file), '--output', 'json')
  assert.equal(nowhere.code, 4)
  const { verdict, findings } = JSON.parse(nowhere.stdout)
  assert.equal(verdict, 'fail')
  const failed = findings.filter((finding: { verdict: string }) => finding.verdict === 'fail')
  assert.ok(failed.some(({ id }: { id: string }) => id === 'preflight.state-folder'))
  const text = await preflight('--state', '/etc/passwd/state')
  assert.equal(text.code, 4)
  assert.match(text.stdout, /^fail {2}State folder +\/etc\/passwd is no folder\./m)
  assert.match(text.stdout, /^ {6}Next: Choose another folder: --state\.$/m)
})
