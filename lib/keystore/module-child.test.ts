/** A child that serves comes to life wherever its parent could, and stands in nobody's way where that can be arranged. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

const folder = mkdtempSync(join(tmpdir(), 'module-child-'))
after(() => rmSync(folder, { recursive: true }))

/** Tells its scheduling policy: field 41 of proc(5) stat, counted after the name. */
const child = join(folder, 'child.mjs')
writeFileSync(
  child,
  `import { readFileSync } from 'node:fs'
   const text = readFileSync('/proc/self/stat', 'utf8')
   process.send(Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[38]))`
)
const parent = join(folder, 'parent.mjs')
writeFileSync(
  parent,
  `import { startModuleChild } from ${JSON.stringify(new URL('./module-child.ts', import.meta.url).href)}
   const started = startModuleChild(new URL(${JSON.stringify(pathToFileURL(child).href)}), {}, undefined, { pipes: 2 })
   started.process.once('message', (policy) => {
     process.stdout.write('policy ' + policy)
     started.kill()
   })
   await started.gone
   process.exit()`
)
const batch = 3
const idle = 5

/** @param prefix programs that take something away and then become the parent */
function policyUnder(prefix: readonly string[]): number {
  const [command = '', ...args] = [...prefix, process.execPath, parent]
  const said = execFileSync(command, args, { encoding: 'utf8', timeout: 20_000 })
  return Number(/^policy (\d+)$/.exec(said)?.[1])
}

const without = existsSync('/usr/bin/chrt') ? false : 'the machine has no chrt'

describe('a child that serves', { skip: without }, () => {
  it('interrupts nobody when it wakes', () => {
    assert.equal(policyUnder([]), batch)
  })

  // Who is in SCHED_IDLE may leave it with CAP_SYS_NICE only (sched(7)): sched_setscheduler is refused as a sandbox would refuse it.
  it('starts all the same where its scheduling may not be changed', () => {
    const ordinary =
      process.getuid?.() === 0 ? ['/usr/bin/setpriv', '--bounding-set=-sys_nice', '--inh-caps=-sys_nice'] : []
    assert.equal(policyUnder([...ordinary, '/usr/bin/chrt', '--idle', '0']), idle)
  })
})
