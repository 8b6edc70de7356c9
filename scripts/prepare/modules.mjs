import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { headersFolder } from './node24.mjs'
import { doing } from './report.mjs'
import { runQuietly } from './run-quietly.mjs'

/** Are node_modules those of the lock file? The stamp is written last, so a half-done install does not count. */
export function modulesAreHere(root) {
  const stamp = stampFile(root)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash(root)
}

export async function provideModules(root, node) {
  await doing('Installing npm packages (pkcs11js is compiled)', async () => {
    const env = {
      ...process.env,
      PATH: `${dirname(node)}${delimiter}${process.env.PATH}`,
      // node-gyp would otherwise download the headers, which not every network allows.
      npm_config_nodedir: headersFolder(node)
    }
    await runQuietly('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, env })
    writeFileSync(stampFile(root), lockHash(root))
  })
}

function stampFile(root) {
  return join(root, 'node_modules/.installed-from')
}

function lockHash(root) {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}
