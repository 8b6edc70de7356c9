/** Rungs: does the host resolve, and is what answers there a MySQL? */

import { dialCodes } from '../../checks/dial.ts'
import type { Rung } from '../../checks/ladder-judge.ts'
import type { MysqlSeen } from '../../checks/mysql.ts'

const resolves: Rung<MysqlSeen> = {
  id: 'database.resolves',
  title: 'Host',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ resolved }) => resolved === null,
      say: ({ host }) => `${host} does not resolve by DNS or /etc/hosts.`,
      fix: ({ host }) => `Check the spelling, or add ${host} to DNS or /etc/hosts on this machine.`,
      field: 'dbHost'
    },
    {
      verdict: 'pass',
      say: ({ host, resolved }) =>
        `${host} is ${resolved?.addresses.join(', ')}${resolved?.loopback ? ', this machine' : ''}.`
    }
  ]
}

/** The server's own errors in place of a greeting (MySQL error reference). */
const refusals: Readonly<Record<number, string>> = {
  1040: 'the server has too many connections',
  1129: 'the server blocks this machine after too many broken connections; mariadb-admin flush-hosts unblocks it',
  1130: 'the server does not take connections from this machine'
}

const connects: Rung<MysqlSeen> = {
  id: 'database.connects',
  title: 'Connection',
  outcomes: [
    {
      verdict: 'fail',
      when: ({ greeting }) => greeting?.problem === 'not-mysql',
      say: ({ host, port }) => `What answers at ${host}:${port} is not MySQL or MariaDB.`,
      fix: 'Check host and port.',
      field: 'dbPort'
    },
    {
      verdict: 'fail',
      when: ({ greeting }) => greeting?.problem === 'refused-by-server',
      say: ({ greeting, host, port }) =>
        `Cannot reach ${host}:${port} (${refusals[greeting?.errorCode ?? 0] ?? `the server says error ${greeting?.errorCode}`}).`,
      fix: 'Mend that at the server, then test again.',
      field: 'dbHost'
    },
    {
      verdict: 'fail',
      when: ({ greeting }) => greeting !== null && greeting.problem !== null,
      say: ({ greeting, host, port }) => `Cannot reach ${host}:${port} (${sayProblem(greeting?.problem)}).`,
      fix: ({ greeting }) =>
        greeting?.problem === 'silent'
          ? 'Something may listen there that is not MySQL, or a firewall drops the packets; check host, port and firewall.'
          : 'Check that the server runs, and that host and port are right.',
      field: 'dbHost'
    },
    { verdict: 'pass', say: ({ greeting }) => `MySQL protocol, server ${greeting?.version}.` }
  ]
}

function sayProblem(problem: string | null | undefined): string {
  const known: Readonly<Record<string, string>> = dialCodes
  return known[problem ?? ''] ?? 'no answer'
}

export const reachRungs = [resolves, connects]
