/** docs/api: the curl script installs over a connection that is lost, the Ansible play asks what the wizard answers. */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { scriptedAnswers, send } from '../e2e/world/scripted.ts'
import { openWorld, type World } from '../e2e/world/world.ts'
import { openLog } from '../lib/log/log.ts'
import { serve } from '../server/main.ts'
import { operations } from '../server/web/api/operations.ts'
import { createToken } from '../server/web/api/tokens.ts'

const folder = join(import.meta.dirname, '..', 'docs', 'api')

describe('docs/api/install.sh', { timeout: 170_000 }, () => {
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world.close())

  test('installs everything although the connection is lost, once, and shows no secret to other programs', async (t) => {
    const answers = await scriptedAnswers(world, 'gemalto-safenet')
    const { token } = await createToken(world.stateDir, 'setup', 600_000)
    const [tokenFile, answersFile] = [join(world.dir, 'token'), join(world.dir, 'answers.json')]
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    const order = JSON.stringify({ apiVersion: 'setup/v1', steps: answers }, null, 2)
    // A blank line first: an editor leaves that.
    writeFileSync(answersFile, `\n \r\n${order}\n`, { mode: 0o600 })
    const lossy = await losingTheFirst('/setup/apply', Number(new URL(world.wizard.url).port))
    t.after(() => lossy.server.close())
    const seen = watchCurl(join(world.dir, 'bin'))

    const { code, stdout, stderr } = await run([join(folder, 'install.sh'), tokenFile, answersFile], {
      PATH: `${seen.folder}:${process.env.PATH}`,
      WIZARD: lossy.url,
      TMPDIR: world.dir
    })
    assert.equal(code, 0, stderr)
    assert.equal(lossy.lost(), 1)
    const applied = JSON.parse(stdout)
    assert.deepEqual([applied.changed, applied.finished, applied.steps], [true, true, Object.keys(answers)])
    assert.equal(
      applied.showOnce.length > 0 && applied.showOnce.every(({ value }: { value: string }) => !value.includes('(')),
      true
    )
    assert.match(stderr, /"action":"create"/)
    const watched = `${readFileSync(seen.log, 'utf8')}${stderr}`
    for (const secret of [...world.secrets, token]) assert.equal(watched.includes(secret), false, 'a secret was shown')
    const { text } = await send(world.wizard.url, { method: 'GET', headers: { accept: 'application/json' } })
    assert.equal(JSON.parse(text).verdict.ok, true, text)
    const [revisions] = await world.query(`SELECT COUNT(*) AS n FROM \`${world.database}\`.answers`)
    assert.equal(Number(revisions?.n), Object.keys(answers).length, 'each step was submitted once')
  })

  test('without answers of its own it applies those that are kept', async () => {
    const cli = join(folder, '../../server/cli.mjs')
    assert.equal(spawnSync(process.execPath, [cli, 'unlock', '--state', world.stateDir]).status, 0)
    const isOpen = () => send(`${world.wizard.url}/setup/openapi.json`, { method: 'GET' })
    while ((await isOpen()).status !== 200) {
      // The wizard sees the request in its state folder by itself.
    }
    const { token } = await createToken(world.stateDir, 'setup', 600_000)
    const [tokenFile, answersFile] = [join(world.dir, 'token-2'), join(world.dir, 'nothing.json')]
    writeFileSync(tokenFile, token, { mode: 0o600 })
    writeFileSync(answersFile, '\n{\n}\n')
    const { code, stdout, stderr } = await run([join(folder, 'install.sh'), tokenFile, answersFile], {
      WIZARD: world.wizard.url,
      TMPDIR: world.dir
    })
    assert.equal(code, 0, stderr)
    assert.equal(JSON.parse(stdout).finished, true, stdout)
  })

  test('a file that is missing or empty is refused by its name, before anything is sent', async () => {
    const seen = watchCurl(join(world.dir, 'bin-of-missing'))
    const [there, empty, missing] = ['there', 'empty', 'missing'].map((name) => join(world.dir, name)) as [
      string,
      string,
      string
    ]
    writeFileSync(there, '{}')
    writeFileSync(empty, '')
    for (const [files, named] of [
      [[missing, there], missing],
      [[there, missing], missing],
      [[there, empty], empty],
      [[there], 'usage: ']
    ] as const) {
      const path = `${seen.folder}:${process.env.PATH}`
      const { code, stderr } = await run([join(folder, 'install.sh'), ...files], {
        PATH: path,
        WIZARD: world.wizard.url
      })
      assert.equal(code, 2, stderr)
      assert.ok(stderr.includes(named), stderr)
    }
    assert.equal(existsSync(seen.log), false, 'curl was run')
  })

  test('interrupted it ends, asks nothing more, and leaves no file', async (t) => {
    // Takes what is sent and never answers: the wizard always does.
    const asked = Promise.withResolvers<void>()
    let connections = 0
    const silent = createServer((client) => {
      connections += 1
      client.on('error', () => {})
      client.once('data', () => asked.resolve())
    })
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening))
    t.after(() => silent.close())
    const temporary = mkdtempSync(join(world.dir, 'tmp-'))
    const [tokenFile, answersFile] = [join(world.dir, 'token-3'), join(world.dir, 'answers-3')]
    writeFileSync(tokenFile, 'token')
    writeFileSync(answersFile, '{}')
    const script = spawn('/bin/sh', [join(folder, 'install.sh'), tokenFile, answersFile], {
      env: { ...process.env, TMPDIR: temporary, WIZARD: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` },
      stdio: 'ignore',
      detached: true
    })
    const ended = once(script, 'exit')
    await asked.promise
    assert.equal(readdirSync(temporary).length, 1)
    // As a terminal does: to the script and its curl.
    process.kill(-(script.pid ?? assert.fail()), 'SIGINT')
    assert.deepEqual(await ended, [130, null])
    assert.deepEqual([connections, readdirSync(temporary)], [1, []])
  })
})

/** Notes argv and environment of every curl. */
function watchCurl(bin: string): { readonly folder: string; readonly log: string } {
  mkdirSync(bin)
  const log = join(bin, 'seen')
  const real = spawnSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).stdout.trim()
  writeFileSync(join(bin, 'curl'), `#!/bin/sh\n{ echo "$@"; env; } >> '${log}'\nexec '${real}' "$@"\n`)
  chmodSync(join(bin, 'curl'), 0o755)
  return { folder: bin, log }
}

function run(argv: readonly string[], env: Readonly<Record<string, string>>) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile('/bin/sh', argv, { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    )
  })
}

/** A way to the wizard that breaks when the first request to `path` has gone out whole. */
async function losingTheFirst(path: string, port: number) {
  let lost = 0
  const server: Server = createServer((client) => {
    const wizard = connect(port, '127.0.0.1')
    let sent = Buffer.alloc(0)
    client.on('data', (chunk) => {
      sent = Buffer.concat([sent, chunk])
      wizard.write(chunk, () => {
        const [head = '', body] = sent.toString('latin1').split('\r\n\r\n')
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
        if (lost > 0 || body === undefined || body.length < length || !head.startsWith(`POST ${path} `)) return
        lost += 1
        client.destroy()
      })
    })
    wizard.on('data', (chunk) => client.write(chunk))
    for (const [one, other] of [[client, wizard] as const, [wizard, client] as const]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, lost: () => lost }
}

describe('docs/api/install.yml', () => {
  const file = join(folder, 'install.yml')
  type Task = Readonly<Record<string, unknown>> & { readonly name: string }
  interface Uri {
    readonly url: string
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: Readonly<Record<string, unknown>>
  }
  interface Play {
    readonly hosts: string
    readonly vars: Readonly<Record<string, unknown>>
    readonly tasks: readonly Task[]
  }
  const [play] = parse(readFileSync(file, 'utf8')) as [Play]
  const calls = play.tasks.flatMap((task) => {
    const uri = task['ansible.builtin.uri'] as Uri | undefined
    return uri === undefined ? [] : [{ task, uri }]
  })

  test('is a play of tasks with names, of modules that every Ansible has', () => {
    assert.equal(play.hosts, 'keyscaler')
    assert.ok(play.tasks.length > 0)
    for (const { name, ...rest } of play.tasks) {
      assert.equal(typeof name, 'string')
      const modules = Object.keys(rest).filter((key) => key.includes('.'))
      assert.equal(modules.length, 1, name)
      assert.match(modules[0] ?? '', /^ansible\.builtin\.(uri|command|debug|fail|set_fact)$/)
    }
  })

  test('every call is an operation that is described, with members that its body has', () => {
    assert.equal(calls.length, 5)
    for (const { task, uri } of calls) {
      const path = uri.url.replace('{{ keyscaler_url }}', '').replace('{{ keyscaler_applied.json.id }}', '{id}')
      if (path === '/') continue // The status page, after setup.
      const operation = operations.find((known) => known.path === path && known.method === (uri.method ?? 'GET'))
      assert.ok(operation, `${task.name}: ${path}`)
      assert.equal(uri.headers?.Accept, 'application/json', task.name)
      const described = Object.keys((operation.body?.properties as object | undefined) ?? {})
      for (const member of Object.keys(uri.body ?? {})) assert.ok(described.includes(member), `${task.name}: ${member}`)
    }
  })

  test('what has the token or the answers is not logged, and only applying is a change', () => {
    for (const task of play.tasks) {
      const { name, no_log: hidden, register, ...rest } = task
      const text = JSON.stringify(rest['ansible.builtin.debug'] === undefined ? rest : {})
      const secret = /keyscaler_token\.stdout|keyscaler_answers|token, ?create|"token"/.test(text)
      assert.equal(hidden === true, secret, name)
    }
    const changes = play.tasks.filter((task) => 'changed_when' in task && task.changed_when !== false)
    assert.deepEqual(
      changes.map(({ name }) => name),
      ['Apply what was planned']
    )
  })

  test('what is hidden and refused is followed by a task that says why, from the problem and never from the answers', () => {
    const hidden = play.tasks.filter((task) => task.no_log === true)
    assert.equal(hidden.length, 5)
    for (const task of hidden) {
      const next = play.tasks[play.tasks.indexOf(task) + 1]
      assert.deepEqual(next, {
        name: next?.name,
        'ansible.builtin.fail': { msg: '{{ keyscaler_why }}' },
        vars: { keyscaler_asked: `{{ ${task.register} }}` },
        when: `${task.register} is failed`
      })
      assert.equal(task.ignore_errors, true, task.name)
    }
    const said = `${play.vars.keyscaler_said} ${play.vars.keyscaler_why}`
    for (const member of ['detail', 'cure', 'errors', 'pointer']) assert.ok(said.includes(member), member)
    assert.doesNotMatch(said, /answers|showOnce|token|stdout|invocation/)
  })

  const found = spawnSync('ansible-playbook', ['--version']).status === 0
  const skip = found ? false : 'ansible-playbook is not installed here'
  test('run with wrong answers it tells what the wizard said of them, and shows none', { skip }, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'install-yml-'))
    const [stateDir, bin, given] = [join(dir, 'state'), join(dir, 'bin'), join(dir, 'given.json')]
    const log = openLog('wizard', 'silent')
    const at = { host: '127.0.0.1', port: 0, allowedHosts: [], suggestions: {}, stateDir, log, say: () => {} }
    const wizard = await serve(at)
    t.after(async () => {
      await wizard.close(false)
      rmSync(dir, { recursive: true })
    })
    mkdirSync(bin)
    const command = `#!/bin/sh\nexec '${process.execPath}' '${join(folder, '../../server/cli.mjs')}' "$@"\n`
    writeFileSync(join(bin, 'keyscaler'), command, { mode: 0o755 })
    const answers = { database: { dbPort: 99_999, dbPassword: 'never-shown-1' } }
    const vars = { keyscaler_url: wizard.url, keyscaler_state: stateDir, keyscaler_answers: answers }
    writeFileSync(given, JSON.stringify(vars), { mode: 0o600 })
    const inventory = join(dir, 'hosts')
    writeFileSync(
      inventory,
      '[keyscaler]\nlocalhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'
    )
    const path = `${bin}:${process.env.PATH}`
    const argv = ['-c', 'exec ansible-playbook -i "$0" -e "@$1" "$2"', inventory, given, file]
    const { code, stdout, stderr } = await run(argv, { PATH: path, ANSIBLE_NOCOLOR: '1', ANSIBLE_HOME: dir })
    assert.notEqual(code, 0)
    assert.match(stdout, /\/steps\/database\/dbPort: Port must be 1–65535\./, stderr)
    assert.equal(`${stdout}${stderr}`.includes('never-shown-1'), false)
  })

  test('ansible-playbook --syntax-check', { skip }, () => {
    const { status, stderr } = spawnSync('ansible-playbook', ['-i', 'localhost,', '--syntax-check', file], {
      encoding: 'utf8'
    })
    assert.equal(status, 0, stderr)
  })
})
