// Preloaded into every test file: one that left a connection or a server open would never end, so it is ended a while
// after its last test. (node's --test-force-exit does that too, but at once, and cuts off results still in the pipe.)
import { after } from 'node:test'

const graceMs = Number(process.env.KEYSCALER_TEST_GRACE_MS ?? 15_000)

after(() => {
  setTimeout(() => {
    process.stderr.write(`left open after its last test: ${process.getActiveResourcesInfo().join(', ')}\n`)
    process.exit()
  }, graceMs).unref()
})
