/** `test` with a world of its own for every story: nothing is shared but the servers. */
import { test as base, expect } from 'playwright/test'
import { openWorld, type World } from './world.ts'

export { expect } from 'playwright/test'

/** An answer of 4xx, or none from a wizard that was killed, is told on the console, too. */
const expected = /^Failed to load resource/

export const test = base.extend<{ world: World }>({
  world: async ({ browserName: _browserName }, use) => {
    const world = await openWorld()
    try {
      await use(world)
    } finally {
      await world.close()
    }
  },
  /** No script of ours throws, and nothing is refused by the content security policy. */
  page: async ({ page }, use) => {
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected.test(message.text())) problems.push(message.text())
    })
    await use(page)
    expect(problems, 'on the console of the browser').toEqual([])
  }
})
