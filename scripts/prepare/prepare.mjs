import { statSync } from 'node:fs'
import { buildLuna } from '../../sandbox/luna/build.mjs'
import { provideCommand } from './command.mjs'
import { installable, missingPackages, providePackages } from './debian.mjs'
import { kafkaJarsAreHere, provideKafkaJars } from './kafka.mjs'
import { modulesAreHere, provideModules } from './modules.mjs'
import { findNode, provideNode } from './node24.mjs'
import { say } from './report.mjs'

/**
 * Makes sure of everything a command needs; says nothing when nothing is missing.
 * @param {string} root the checkout
 * @param {string} command start, demo, bench, test, test:crash or keyscaler
 * @returns {Promise<string | null>} the Node to run it with; null when something is missing, which has been said
 */
export async function prepare(root, command) {
  const sandbox = command !== 'keyscaler'
  const kafka = sandbox && command !== 'bench' && process.env.KEYSCALER_SANDBOX_KAFKA !== 'mock'
  const build = !modulesAreHere(root)
  const missing = installable(
    missingPackages({
      sandbox,
      bench: command === 'bench',
      test: command === 'test',
      crash: command === 'test:crash',
      kafka,
      build
    })
  )
  if (missing === null) return null
  try {
    const [node] = await Promise.all([findNode(root) ?? provideNode(root), providePackages(missing)])
    const work = []
    if (build) work.push(provideModules(root, node))
    if (kafka && !kafkaJarsAreHere(root)) work.push(provideKafkaJars(root))
    if (sandbox) compileLuna(root)
    await Promise.all(work)
    await provideCommand(root)
    return node
  } catch (error) {
    say(`Cannot go on: ${error.message}`)
    return null
  }
}

/** The partition of the sandbox: compiled when its sources are newer, which takes under a second. */
function compileLuna(root) {
  const began = Date.now()
  const library = buildLuna(root)
  if (statSync(library).mtimeMs >= began) say('Compiled the stand-in partition (sandbox/luna)')
}
