/** Each server is asked for its version, and must keep, give back and forget a nonce. */
import { defineCheck } from '../../checks/check.ts'
import { type MemcachedSeen, observeMemcached } from '../../checks/memcached.ts'

interface Asked {
  readonly servers: readonly string[]
  readonly prefix?: string | undefined
}

interface SeenServers {
  readonly all: readonly MemcachedSeen[]
  readonly failed: readonly MemcachedSeen[]
}

const says: Readonly<Record<Exclude<MemcachedSeen['problem'], null>, string>> = {
  unresolved: 'does not resolve by DNS or /etc/hosts',
  silent: 'did not answer',
  refused: 'did not answer (connection refused or closed)',
  'not-memcached': 'is not memcached',
  'does-not-keep': 'does not keep what it is given'
}

export const serversAnswer = defineCheck<Asked, SeenServers>({
  id: 'memcached.servers-answer',
  title: 'Servers',
  deadlineMs: 10_000,
  field: 'servers',
  fix: 'Check that the servers run, then test again.',
  observe: async ({ servers, prefix = '' }, around) => {
    around.progress(servers.join(', '))
    const all = await Promise.all(servers.map((server) => observeMemcached(server, prefix)))
    return { all, failed: all.filter(({ problem }) => problem !== null) }
  },
  outcomes: [
    {
      verdict: 'fail',
      when: ({ failed }) => failed.length > 0,
      say: ({ failed }) => failed.map(({ server, problem }) => `${server} ${says[problem ?? 'silent']}.`).join(' '),
      fix: 'Start memcached there (systemctl start memcached), let this machine through its firewall (-l, port), or leave that server out.',
      field: 'servers'
    },
    {
      verdict: 'pass',
      say: ({ all }) =>
        all.map(({ server, version }) => `${server}: memcached ${version}, kept and forgot a nonce.`).join(' ')
    }
  ]
})
