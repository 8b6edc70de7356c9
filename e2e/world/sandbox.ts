/** Before the first story: the servers that all of them share. `npm test` has started them already. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { sharedParts, sharedSandboxVariable, shareSandbox } from '../../sandbox/testing.ts'

/** @returns what Playwright calls after the last story */
export default async function startServers(): Promise<() => Promise<void>> {
  if (process.env[sharedSandboxVariable] !== undefined) return async () => {}
  const folder = mkdtempSync(join(tmpdir(), 'ks-e2e-'))
  const sandbox = await startSandbox({ parts: sharedParts, report: (line) => console.log(line) })
  const file = join(folder, 'sandbox.json')
  shareSandbox(sandbox, file)
  process.env[sharedSandboxVariable] = file
  return async () => {
    await sandbox.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
