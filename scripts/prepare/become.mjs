import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter, dirname } from 'node:path'

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']

/**
 * Runs a program with our own input, output and signals, and ends as it ended. Killed ourselves, it gets SIGTERM from
 * the kernel (setpriv), so that it still stops what it started.
 * @param {string} node the Node to run it with; first in its PATH too
 * @param {string[]} args program and arguments
 */
export async function becomeProgram(node, args) {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', node, ...args], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` }
  })
  for (const signal of forwarded) process.on(signal, () => child.kill(signal))
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (...end) => resolve(end))
  })
  process.exit(signal === null ? code : 128 + constants.signals[signal])
}
