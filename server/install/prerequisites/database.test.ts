/** Against a real MariaDB as its package leaves it, root without a password. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { type Child, startChild, whenReady } from '../../../sandbox/child.ts'
import { deadPort, surroundings } from '../../checks/testing.ts'
import { databaseStep } from '../../steps/database/step.ts'
import { database } from './database.ts'
import { runPrerequisites } from './prerequisites.ts'
import { type FakePath, fakePath } from './testing.ts'
import { undoPrerequisites } from './undo-database.ts'

const run = promisify(execFile)

async function server(fake: FakePath): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'prerequisites-db-'))
  const data = join(dir, 'data')
  const socket = join(dir, 's.sock')
  const port = await deadPort()
  const asUser = process.getuid?.() === 0 ? ['--user=root'] : []
  await run('mariadb-install-db', [
    ...['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    ...['--innodb-log-file-size=8M', ...asUser]
  ])
  const child: Child = startChild({
    name: 'MariaDB',
    command: 'mariadbd',
    args: [
      ...['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--bind-address=127.0.0.1', `--port=${port}`],
      ...['--pid-file=mariadb.pid', '--performance-schema=off', '--innodb-log-file-size=8M', ...asUser]
    ],
    logFile: join(dir, 'log')
  })
  after(async () => {
    await child.stop('now')
    rmSync(dir, { recursive: true, force: true })
  })
  // The first of the arguments must be the client's file with its password.
  fake.program('mariadb', `exec mariadb "$@" --socket=${socket}`)
  await whenReady(
    child,
    async () => (await fake.ground.commands.run(['mariadb', '--user=root'], 'SELECT 1')).code === 0,
    30_000
  )
  fake.called()
  return port
}

test('database and account are made with passwords that nobody sees, and are good for step 2', async (t) => {
  const fake = fakePath()
  const [nothing] = await runPrerequisites([database], fake.ground, false)
  assert.deepEqual([nothing?.state, nothing?.say], ['missing', 'There is no database server yet.'])
  const port = await server(fake)
  const kept = join(fake.ground.stateDir, 'prerequisites', 'database-password')

  const [shown] = await runPrerequisites([database], fake.ground, false)
  assert.equal(shown?.state, 'missing')
  assert.match(shown?.say ?? '', /no database keyscaler\. .*no account keyscaler@localhost, .*root has no password\.$/)
  assert.throws(() => statSync(kept), /ENOENT/)

  const [row] = await runPrerequisites([database], fake.ground, true)
  assert.equal(row?.state, 'brought', row?.say)
  const password = readFileSync(kept, 'utf8').trimEnd()
  const ofRoot = /"(.+)"/.exec(
    readFileSync(join(fake.ground.stateDir, 'prerequisites', 'database-root.cnf'), 'utf8')
  )?.[1]
  assert.equal(statSync(kept).mode & 0o777, 0o600)
  assert.ok(password.length >= 32 && ofRoot !== undefined && ofRoot !== password)
  const seen = JSON.stringify([row, shown, fake.called()])
  for (const secret of [password, ofRoot]) assert.ok(!seen.includes(secret))
  // root is closed to whoever has no password.
  const open = await fake.ground.commands.run(['mariadb', '--user=root'], 'SELECT 1')
  assert.match(open.words, /\b1045\b/)

  const answers = {
    dbHost: '127.0.0.1',
    dbPort: String(port),
    dbName: 'keyscaler',
    dbUser: 'keyscaler',
    dbPassword: password
  }
  const parsed = databaseStep.parse(answers)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  const findings = await parsed.submission.check(surroundings)
  for (const { id, verdict, say } of findings) assert.equal(verdict, 'pass', `${id}: ${say}`)

  fake.called()
  const [again] = await runPrerequisites([database], fake.ground, true)
  assert.equal(again?.state, 'there')
  assert.equal(readFileSync(kept, 'utf8').trimEnd(), password)
  assert.equal(fake.called().length, 1, 'one look, and nothing else')

  await t.test('without its password nothing is done to an account that somebody may be using', async () => {
    renameSync(kept, `${kept}.away`)
    const [lost] = await runPrerequisites([database], fake.ground, true)
    assert.deepEqual([lost?.state, /its password is not kept here/.test(lost?.say ?? '')], ['there', true])
    renameSync(`${kept}.away`, kept)
  })

  const { commands, stateDir } = fake.ground
  const client = ['mariadb', `--defaults-extra-file=${join(stateDir, 'prerequisites', 'database-root.cnf')}`]
  const asRoot = async (sql: string) => {
    const ran = await commands.run([...client, '--user=root', '--skip-column-names'], sql)
    assert.equal(ran.code, 0, ran.words)
    return ran.stdout
  }
  const accounts = () => asRoot("SELECT COUNT(*) FROM mysql.user WHERE User = 'keyscaler'")
  await t.test('what is in use by others is left, with the reason', async () => {
    await asRoot('CREATE TABLE keyscaler.theirs (a INT)')
    const [account] = await undoPrerequisites(stateDir, commands)
    assert.match(JSON.stringify(account?.outcome), /1 tables are in the database keyscaler/)
    assert.deepEqual([await accounts(), readFileSync(kept, 'utf8').trimEnd()], ['2\n', password])
    await asRoot('DROP TABLE keyscaler.theirs')
  })

  await t.test('the account that was made is taken away; the password of root is left and told', async () => {
    fake.called()
    const [account, root] = await undoPrerequisites(stateDir, commands)
    assert.equal(account?.outcome, 'removed')
    assert.match(JSON.stringify(root?.outcome), /nowhere else kept: take it over, then remove /)
    for (const secret of [password, ofRoot]) assert.ok(!JSON.stringify([account, root, fake.called()]).includes(secret))
    assert.deepEqual([await accounts(), await asRoot("SHOW DATABASES LIKE 'keyscaler'")], ['0\n', ''])
    assert.deepEqual(readdirSync(join(stateDir, 'prerequisites')), ['database-root.cnf'])
    rmSync(join(stateDir, 'prerequisites', 'database-root.cnf'))
    assert.deepEqual(await undoPrerequisites(stateDir, commands), [])
    assert.equal(existsSync(join(stateDir, 'prerequisites')), false)
  })
})

test('an account that was there before is nobody else\u2019s to take away', async () => {
  const { ground } = fakePath()
  await ground.keep(join(ground.stateDir, 'prerequisites', 'database-password'), 'typed by hand\n')
  const [account] = await undoPrerequisites(ground.stateDir, ground.commands)
  assert.match(JSON.stringify(account?.outcome), /nothing here says that it was made here/)
})
