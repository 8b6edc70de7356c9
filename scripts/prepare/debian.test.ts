import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const bin = mkdtempSync(join(tmpdir(), 'ks-'))
after(() => rmSync(bin, { recursive: true, force: true }))
symlinkSync(process.execPath, join(bin, 'node'))
const fake = (program: string, script: string): void => {
  writeFileSync(join(bin, program), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, program), 0o755)
}

/** The bootstrap on a machine where only the programs in our folder (and the sbin ones) are found. */
function start(env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../run.mjs'), 'start', '--help'], {
    env: { PATH: bin, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })))
}

test('without apt it names exactly what is missing and the command that brings it, and ends with 1', async () => {
  const { code, said } = await start()
  assert.equal(code, 1)
  assert.match(said, /^Missing Debian packages: build-essential .*kcat openssl curl default-jre-headless maven$/m)
  assert.match(said, /cannot be installed here \(there is no apt-get\)/)
  assert.match(
    said,
    /^ {2}sudo apt-get update && sudo apt-get install --no-install-recommends build-essential .*maven$/m
  )
  assert.ok(!said.includes('chromium'), 'a browser is for the tests only')
})

test('what is there counts, however it came; a wish for the mock broker needs no Java', async () => {
  for (const program of ['cc', 'g++', 'make', 'python3', 'curl', 'memcached', 'mariadbd', 'mariadb-install-db'])
    fake(program, 'exit 0')
  const { said } = await start({ KEYSCALER_SANDBOX_KAFKA: 'mock' })
  assert.match(said, /^Missing Debian packages: kcat openssl$/m)
})

test('without Java and Maven alone it goes on, and says that the broker is a mock', async () => {
  for (const program of ['kcat', 'openssl']) fake(program, 'exit 0')
  fake('setpriv', 'echo "becoming: $@"')
  const { code, said } = await start()
  assert.equal(code, 0)
  assert.match(said, /^Missing Debian packages: default-jre-headless maven$/m)
  assert.match(said, /a mock broker is used without them/)
  assert.match(said, /^becoming: --pdeathsig TERM -- .*sandbox\/main\.ts start --help$/m)
})
