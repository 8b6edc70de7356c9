import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { doing } from './report.mjs'
import { runQuietly } from './run-quietly.mjs'

const wanted = 24

/**
 * @param {string} root the checkout
 * @returns {string | null} the path of a Node that is new enough and has its headers, which pkcs11js is compiled with
 */
export function findNode(root) {
  const own = Number(process.versions.node.split('.')[0])
  if (own >= wanted && existsSync(join(headersFolder(process.execPath), 'include/node/node.h'))) return process.execPath
  const brought = broughtNode(root)
  return existsSync(brought) ? brought : null
}

/** The folder with include/node of a Node: what node-gyp calls nodedir. */
export function headersFolder(node) {
  return dirname(dirname(node))
}

/** Brings Node from the npm registry, as a package with the binary inside; its hash is in scripts/node24's lock file. */
export async function provideNode(root) {
  const folder = join(root, '.tools/node24')
  await doing(`Fetching Node ${wanted} into .tools (this is ${process.version})`, async () => {
    mkdirSync(folder, { recursive: true })
    for (const file of ['package.json', 'package-lock.json']) {
      copyFileSync(join(root, 'scripts/node24', file), join(folder, file))
    }
    await runQuietly('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
  })
  const node = broughtNode(root)
  if (!existsSync(node)) throw new Error(`there is no Node ${wanted} for ${process.platform} on ${process.arch}`)
  return node
}

function broughtNode(root) {
  return join(root, `.tools/node24/node_modules/node-${process.platform}-${process.arch}/bin/node`)
}
