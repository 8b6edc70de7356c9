// The one entry of `npm start`, `npm test` and `npm run demo|bench|keyscaler|test:crash`: makes sure of what the command needs, then
// becomes it. Plain JavaScript with nothing installed, so that any Node >= 20 can run it.
import { join } from 'node:path'
import { becomeProgram } from './prepare/become.mjs'
import { prepare } from './prepare/prepare.mjs'
import { startFlags } from './prepare/start-flags.mjs'

const root = join(import.meta.dirname, '..')
const programs = {
  start: ['sandbox/main.ts', 'start'],
  demo: ['sandbox/demo.ts'],
  bench: ['bench/main.ts'],
  keyscaler: ['server/cli.mjs'],
  test: ['scripts/test.ts'],
  'test:crash': ['server/crash/main.ts']
}

const [command = '', ...args] = process.argv.slice(2)
if (!Object.hasOwn(programs, command)) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(programs).join('|')} [arguments]\n`)
  process.exit(2)
}

// Debian keeps servers in the sbin folders, which a plain user's PATH often lacks.
process.env.PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin`
const node = await prepare(root, command)
if (node === null) process.exit(1)
const flags = command === 'keyscaler' ? startFlags(root) : []
const [program, ...fixed] = programs[command]
await becomeProgram(node, [...flags, join(root, program), ...fixed, ...args])
