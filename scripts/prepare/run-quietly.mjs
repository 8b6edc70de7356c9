import { spawn } from 'node:child_process'

/**
 * Runs a command with no input and its output kept.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { timeout?: number }} [options]
 * @returns {Promise<string>} its output
 * @throws {Error} with the last lines of what it printed
 */
export function runQuietly(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    const keep = (chunk) => {
      printed = (printed + chunk).slice(-20_000)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', (error) => reject(new Error(`${command}: ${error.message}`)))
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(printed)
      const end = printed.trim().split('\n').slice(-12).join('\n  ')
      reject(new Error(`${command} ${args[0] ?? ''} ended with ${signal ?? `code ${code}`}:\n  ${end}`))
    })
  })
}
