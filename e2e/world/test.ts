/** `test` with a world of its own for every story: nothing is shared but the servers. */
import { test as base } from 'playwright/test'
import { openWorld, type World } from './world.ts'

export { expect } from 'playwright/test'

export const test = base.extend<{ world: World }>({
  world: async ({ browserName: _browserName }, use) => {
    const world = await openWorld()
    try {
      await use(world)
    } finally {
      await world.close()
    }
  }
})
