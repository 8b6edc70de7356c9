/** What is run on a machine is read from programs that write down how they were called; the database has a real server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostSeen } from '../../checks/host.ts'
import { firewall } from './firewall.ts'
import { packageNamesFor } from './package-names.ts'
import { packagePrerequisites } from './packages.ts'
import { runPrerequisites } from './prerequisites.ts'
import { type FakePath, fakePath } from './testing.ts'

const host = (id: string, version: number, like: readonly string[] = []): HostSeen => ({
  system: `${id} ${version}`,
  distribution: { id, like, version },
  kernel: '6.1',
  machine: 'x86_64',
  cores: 8,
  memory: 32,
  disk: { total: 1000, free: 900 },
  clockSynchronised: null,
  hsmUser: null
})
const rhel = ['rhel', 'centos', 'fedora']
const bare = packagePrerequisites.filter(({ id }) => id !== 'java')
const asking = /^systemctl is-active|^firewall-cmd --(state|permanent --query)|^ufw status|^nft --json/
const changes = (fake: FakePath) => fake.called().filter((line) => !asking.test(line))

/** A package manager that brings the program of each package, and units that start. */
function machine(fake: FakePath, manager: 'apt-get' | 'dnf'): void {
  fake.program(
    manager,
    `for name; do :; done
case "$name" in chrony) made=chronyd;; mariadb-server) made=mariadbd;; mysql-server) made=mysqld;; *) made=$name;; esac
case "$1" in install) printf '#!/bin/sh\\n' > $folder/$made; chmod 755 $folder/$made;; esac`
  )
  fake.program(
    'systemctl',
    'case "$1" in enable) touch $state/unit-$3;; is-active) test -e $state/unit-$3 || exit 3;; esac'
  )
}

test('the packages have the names of the system, and what is not known is not guessed', async () => {
  const databases = [
    ['debian', 12, [], 'apt', 'mariadb-server', 'openjdk-17-jre-headless'],
    ['debian', 13, [], 'apt', 'mariadb-server', 'openjdk-21-jre-headless'],
    ['ubuntu', 22.04, ['debian'], 'apt', 'mariadb-server', 'openjdk-17-jre-headless'],
    ['rocky', 8.1, rhel, 'dnf', 'mysql-server', 'java-17-openjdk-headless'],
    ['rhel', 9.4, ['fedora'], 'dnf', 'mysql-server', 'java-17-openjdk-headless'],
    ['almalinux', 10, rhel, 'dnf', 'mariadb-server', 'java-21-openjdk-headless']
  ] as const
  for (const [id, version, like, manager, server, java] of databases) {
    const names = await packageNamesFor(host(id, version, like))
    assert.deepEqual([names?.manager, names?.databaseServer.package, names?.java.package], [manager, server, java], id)
  }
  for (const [id, version, like] of [
    ['debian', 11, []],
    ['linuxmint', 21, ['ubuntu', 'debian']],
    ['fedora', 41, []],
    ['arch', 0, []]
  ] as const) {
    assert.equal(await packageNamesFor(host(id, version, like)), null, id)
  }
  await assert.rejects(packageNamesFor(host('centos', 7, rhel)), /glibc 2\.17 cannot run a current Node/)
})

test('a bare Debian gets its packages and units, and the second run touches nothing', async () => {
  const fake = fakePath({ names: await packageNamesFor(host('debian', 12)) })
  machine(fake, 'apt-get')
  const shown = await runPrerequisites(bare, fake.ground, false)
  assert.deepEqual(
    shown.map(({ id, state }) => [id, state]),
    [
      ['time', 'missing'],
      ['database-server', 'missing'],
      ['memcached', 'missing']
    ]
  )
  assert.deepEqual(changes(fake), [])
  const brought = await runPrerequisites(bare, fake.ground, true)
  assert.deepEqual(
    brought.map(({ state }) => state),
    ['brought', 'brought', 'brought']
  )
  const called = changes(fake)
  assert.deepEqual(
    called,
    brought.flatMap(({ commands }) => commands)
  )
  assert.deepEqual(called.slice(0, 3), [
    'apt-get update',
    'apt-get install --yes --no-install-recommends chrony',
    'systemctl enable --now chrony'
  ])
  const again = await runPrerequisites(bare, fake.ground, true)
  assert.deepEqual(
    again.map(({ state }) => state),
    ['there', 'there', 'there']
  )
  assert.deepEqual(changes(fake), [])
})

test('the RHEL family gets them by dnf; what is installed and stopped is only started', async () => {
  const fake = fakePath({ names: await packageNamesFor(host('rocky', 9.4, rhel)), clockSynchronised: true })
  machine(fake, 'dnf')
  fake.program('memcached')
  const rows = await runPrerequisites(bare, fake.ground, true)
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['there', 'brought', 'brought']
  )
  assert.deepEqual(changes(fake), [
    'dnf install --assumeyes mysql-server',
    'systemctl enable --now mysqld',
    'systemctl enable --now memcached'
  ])
})

test('one that fails says what the command said, and stops no other', async () => {
  const fake = fakePath({ names: await packageNamesFor(host('debian', 12)) })
  machine(fake, 'apt-get')
  fake.program('apt-get', 'echo "E: no such mirror" >&2; exit 100')
  const rows = await runPrerequisites(bare, fake.ground, true)
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['failed', 'failed', 'failed']
  )
  assert.equal(rows[2]?.say, 'apt-get update ended with 100: E: no such mirror')
})

test('on a system that is not known everything is shown only', async () => {
  const fake = fakePath()
  fake.program('systemctl', 'exit 3')
  const [, server] = await runPrerequisites(bare, fake.ground, true)
  assert.equal(server?.state, 'missing')
  assert.match(server?.say ?? '', /Install mariadbd or mysqld by the means of this system\.$/)
  assert.deepEqual(changes(fake), [])
})

const nftRuleset = (rules: readonly object[]) =>
  JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { chain: { family: 'inet', table: 'filter', name: 'input', hook: 'input', policy: 'drop' } },
      { chain: { family: 'inet', table: 'filter', name: 'output', hook: 'output', policy: 'accept' } },
      ...rules
    ]
  })
const nftRule = { family: 'inet', table: 'filter', chain: 'input', comment: 'keyscaler-9444' }

test('ports are opened in the firewall that is at work, those that are closed only, and once', async () => {
  const cases = [
    {
      name: 'firewall-cmd',
      script: `case "$*" in --state) ;; *query-port*) test -e $state/open-\${2#*=} ;; *add-port*) mkdir -p "$state/open-\${2#*=}";; esac`,
      expected: [
        'firewall-cmd --permanent --add-port=9444/tcp',
        'firewall-cmd --permanent --add-port=9446/tcp',
        'firewall-cmd --reload'
      ]
    },
    {
      name: 'ufw',
      script: `case "$1" in status) echo "Status: active"; echo "9444/tcp                   ALLOW       Anywhere"; cat $state/ufw 2>/dev/null;; allow) echo "$2    ALLOW   Anywhere" >> $state/ufw;; esac`,
      expected: ['ufw allow 9446/tcp comment KeyScaler']
    },
    {
      name: 'nft',
      script: `case "$1" in --json) if test -e $state/nft; then cat $state/nft; else echo '${nftRuleset([{ rule: nftRule }])}'; fi;;
insert) echo '${nftRuleset([{ rule: nftRule }, { rule: { ...nftRule, comment: 'keyscaler-9446' } }])}' > $state/nft;; esac`,
      expected: ['nft insert rule inet filter input tcp dport 9446 accept comment "keyscaler-9446"']
    }
  ]
  for (const { name, script, expected } of cases) {
    const fake = fakePath()
    fake.program(name, script)
    const [shown] = await runPrerequisites([firewall], fake.ground, false)
    assert.equal(shown?.state, 'missing', name)
    assert.deepEqual(changes(fake), [], name)
    const [row] = await runPrerequisites([firewall], fake.ground, true)
    assert.equal(row?.state, 'brought', `${name}: ${row?.say}`)
    assert.deepEqual(changes(fake), expected)
    const [again] = await runPrerequisites([firewall], fake.ground, true)
    assert.equal(again?.state, 'there', name)
    assert.deepEqual(changes(fake), [], name)
  }
})

test('without a firewall nothing is opened, and who is not root is not told that all is well', async () => {
  const fake = fakePath()
  fake.program('firewall-cmd', 'exit 252')
  fake.program('ufw', 'echo "Status: inactive"')
  fake.program('nft', `echo '{"nftables": []}'`)
  const [row] = await runPrerequisites([firewall], fake.ground, true)
  assert.deepEqual([row?.state, row?.say], ['there', 'No firewall keeps TCP 9444, 9446 closed here.'])
  const [user] = await runPrerequisites([firewall], { ...fake.ground, isRoot: false }, false)
  assert.equal(user?.state, 'unknown')
})
