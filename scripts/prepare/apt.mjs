import { spawnSync } from 'node:child_process'
import { findProgram } from './find-program.mjs'
import { say } from './report.mjs'
import { runQuietly } from './run-quietly.mjs'

/**
 * Servers are installed, never started: invoke-rc.d asks /usr/sbin/policy-rc.d, and 101 means no. One that is there
 * stays; ours goes when we are done, however that is.
 */
const script = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
lock='-o DPkg::Lock::Timeout=600'
apt-get $lock update -q
# Where the default Java is older than Kafka wants (Debian 11, Ubuntu 22.04), 17 is there beside it.
for name in "$@"; do
  shift
  if [ $name = default-jre-headless ] && apt-cache show openjdk-17-jre-headless > /dev/null 2>&1; then
    name=openjdk-17-jre-headless
  fi
  set -- "$@" $name
done
apt-get $lock install -q -y --no-install-recommends "$@"
`

/** @returns {string | null} why packages cannot be installed by us; null when they can */
export function whyNotInstall() {
  if (findProgram('apt-get') === null) return 'there is no apt-get'
  if (asRoot() === null) return 'not root, and sudo would ask for a password'
  return null
}

/**
 * @param {string[]} needed without which nothing works
 * @param {string[]} all with the optional ones
 */
export async function installPackages(needed, all) {
  try {
    await install(all)
  } catch (error) {
    if (needed.length === all.length) throw error
    const optional = all.filter((name) => !needed.includes(name))
    say(`Without ${optional.join(' and ')}, which could not be installed, Kafka is a mock: ${error.message}`)
    if (needed.length > 0) await install(needed)
  }
}

async function install(names) {
  const [command, ...before] = [...(asRoot() ?? []), 'sh', '-c', script, 'install']
  await runQuietly(command, [...before, ...names])
}

/** What to put before a command that needs root: nothing, or sudo where it asks nobody; null when neither will do. */
function asRoot() {
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : null
}
