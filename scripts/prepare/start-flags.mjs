import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Node's flags for `keyscaler`, as the first line of its program has them, for who starts it with a Node of their choice.
 * @param {string} root the checkout
 * @returns {string[]}
 */
export function startFlags(root) {
  const [first = ''] = readFileSync(join(root, 'server/cli.mjs'), 'utf8').split('\n', 1)
  return first.match(/--\S+/g) ?? []
}
