/**
 * README.md does what it says: its script installs KeyScaler over a real `npm start`, and every command that is named exists.
 * The script knows no other ports than the services' own: @fixed-ports.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { lunaScenarios } from '../sandbox/luna/scenarios.ts'
import { freePort } from '../sandbox/ports.ts'
import { stepIds } from '../server/steps/step.ts'
import { catalog } from '../services/catalog.ts'

const root = join(import.meta.dirname, '..')
const run = promisify(execFile)
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/**/*.md', { cwd: root }).sort()]
const textOf = (page: string) => readFileSync(join(root, page), 'utf8')
const script = /```bash\n([^`]*?\/setup\/session[\s\S]*?)```/.exec(textOf('README.md'))?.[1] ?? ''

describe('the script in README.md', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ks-readme-'))
  const box = join(folder, 'box')
  const seen = join(folder, 'seen')
  /** Any 127.x.y.z is this machine, so the services' fixed ports are free there, whatever else runs. */
  const host = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(2, 255)}`
  let wizard = ''
  let sandbox: ChildProcess
  let printed = ''

  before(async () => {
    const port = await freePort()
    wizard = `http://127.0.0.1:${port}`
    sandbox = spawn(process.execPath, ['sandbox/main.ts', 'start', '--state', box, '--port', String(port)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    sandbox.stderr?.on('data', (chunk: Buffer) => {
      printed += chunk
    })
    assert.ok(sandbox.stdout !== null)
    const lines = createInterface(sandbox.stdout)
    for await (const line of lines) {
      if (line.startsWith('Setup code:')) return
    }
    assert.fail(`it ended before it printed a setup code:\n${printed}`)
  })

  after(async () => {
    if (sandbox.exitCode === null && sandbox.signalCode === null) {
      sandbox.kill('SIGTERM')
      await once(sandbox, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  /** Stands before the programs that handle secrets and notes what others could see of them: argv and environment. */
  function watchPrograms(): string {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    for (const name of ['curl', 'sed', 'tr', 'cat', 'rm']) {
      const file = join(bin, name)
      const real = process.env.PATH?.split(':').find((path) => existsSync(join(path, name)))
      writeFileSync(
        file,
        `#!/bin/bash\n{ printf '%s\\n' ${name} "$@"; printenv; } >> '${seen}'\nexec '${real}/${name}' "$@"\n`
      )
      chmodSync(file, 0o755)
    }
    return bin
  }

  const ask = (port: number, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const ca = readFileSync(join(box, 'state/tls/service-ca.crt'))
      request({ host, port, path, ca }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })

  test('is eleven lines of curl, one a step and in order, after the one that spends the code', () => {
    const posts = script.split('\n').filter((line) => line.startsWith('curl '))
    assert.deepEqual(
      posts.map((line) => /\$WIZARD\/setup\/steps\/([a-z]+)"/.exec(line)?.[1]),
      [...stepIds]
    )
  })

  test('installs: four services are ready, setup is gone, and no secret was seen in argv or environment', async () => {
    const env = {
      ...process.env,
      WIZARD: wizard,
      BOX: box,
      HOST: `https://${host}`,
      PATH: `${watchPrograms()}:${process.env.PATH}`
    }
    const secrets = [
      'mariadb/setup.password',
      'partition.password',
      'administrator.password',
      'license.txt',
      'state/setup-code'
    ]
    const values = secrets.map((file) => readFileSync(join(box, file), 'utf8').trim())

    const { stdout } = await run('bash', ['-eu', '-o', 'pipefail', '-c', script], { cwd: root, env })
    const answers = stdout.trim().split('\n')
    assert.equal(answers.length, stepIds.length)
    for (const answer of answers) assert.equal(JSON.parse(answer).ok, true, answer)

    for (const { port, health } of Object.values(catalog)) assert.equal(await ask(port, health.path), 200)
    const status = await fetch(wizard, { headers: { accept: 'application/json' } })
    assert.match(await status.text(), /"finishedAt":"\d{4}-/)
    for (const path of ['/setup', '/setup/code', '/setup/steps/welcome']) {
      assert.equal((await fetch(`${wizard}${path}`)).status, 410, path)
    }
    const claim = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"code":"x"}' }
    assert.equal((await fetch(`${wizard}/setup/session`, claim)).status, 410)

    const exposed = readFileSync(seen, 'utf8')
    assert.ok(exposed.split('\ncurl\n').length > stepIds.length, 'the programs were not watched')
    for (const [at, value] of values.entries()) assert.ok(value.length > 20 && !exposed.includes(value), secrets[at])
    assert.doesNotMatch(exposed, /Bearer/)
    assert.equal(existsSync(join(box, 'curl.conf')), false)
  })
})

test('the bad days in README.md are the scenarios that there are', () => {
  const [, rows = ''] = /\| `--luna-shim` \|[^\n]*\n([\s\S]*?)\n\n/.exec(textOf('README.md')) ?? []
  const named = rows.split('\n').flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)])
  assert.deepEqual(
    named.map(([, name]) => name).sort(),
    Object.keys(lunaScenarios)
      .filter((name) => name !== 'well')
      .sort()
  )
})

describe('every command that README.md and docs/ name', () => {
  test('is an npm script', () => {
    const { scripts } = JSON.parse(textOf('package.json'))
    const named = pages.flatMap((page) => [...textOf(page).matchAll(/npm (?:run (?:-s )?([a-z]+)|(start|test)\b)/g)])
    assert.ok(named.length > 10)
    for (const [whole, byRun, own] of named) assert.ok((byRun ?? own ?? '') in scripts, whole)
  })

  test('is a command of keyscaler, and its options are options of that command', async () => {
    const helpOf = async (...command: string[]) =>
      (await run(process.execPath, [join(root, 'server/cli.mjs'), ...command, '--help'])).stdout
    const commandsIn = (help: string) => [...help.matchAll(/^ {2}([a-z][a-z-]+)/gm)].map(([, name]) => name)
    const known = commandsIn(await helpOf())
    /** Those that have commands of their own. */
    const groups = new Set(['license', 'config', 'hsm', 'keys', 'token'])
    assert.ok(known.includes('serve'))
    const named = pages.flatMap((page) =>
      [...textOf(page).matchAll(/`keyscaler ([^`]+)`/g)].map(([whole, rest = '']) => ({
        where: `${page}: ${whole}`,
        rest
      }))
    )
    assert.ok(named.length > 10)
    const helps = new Map<string, string>()
    for (const { where, rest } of named) {
      const [first = '', second = ''] = rest.split(/[\s|]+/)
      assert.ok(known.includes(first), where)
      const command = groups.has(first) && /^[a-z]/.test(second) ? [first, second] : [first]
      const key = command.join(' ')
      const help = helps.get(key) ?? (await helpOf(...command))
      helps.set(key, help)
      assert.ok(help.startsWith(`Usage: keyscaler ${key} `), where)
      for (const [option] of rest.matchAll(/--[a-z-]+/g))
        assert.ok(help.includes(`  ${option} `), `${where}: ${option}`)
    }
  })

  test('leads to files that are there', () => {
    const links = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => ({ page, target }))
    )
    assert.ok(links.length > 10)
    for (const { page, target } of links) assert.ok(existsSync(join(root, page, '..', target)), `${page}: ${target}`)
  })
})
