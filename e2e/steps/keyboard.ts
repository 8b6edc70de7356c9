/** The same verbs with nothing but the keyboard, and the proof that the focus can always be seen. */
import { expect, type Locator, type Page } from 'playwright/test'
import type { Entry } from './entries.ts'

/** More stops than any page has. */
const mostStops = 60

/** Presses Tab until the element has the focus. @throws when it is never reached */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let stop = 0; stop < mostStops; stop++) {
    if (await target.evaluate((element) => element === element.ownerDocument.activeElement)) {
      const outline = await target.evaluate((element) => element.computedStyleMap().get('outline-style').toString())
      expect(outline, 'the focus can be seen').not.toBe('none')
      return
    }
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab never came to ${target}`)
}

export async function enterByKeys(page: Page, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    await tabTo(page, entry.field)
    if (entry.control === 'box') await page.keyboard.press('Space')
    else if (entry.control === 'select') await page.keyboard.type(entry.option)
    else {
      await page.keyboard.press('Control+A')
      await page.keyboard.insertText(entry.value)
    }
  }
}

/** Goes to a button and presses it as the keyboard does. */
export async function pressByKeys(page: Page, button: Locator, key: 'Enter' | 'Space' = 'Enter'): Promise<void> {
  await tabTo(page, button)
  await page.keyboard.press(key)
}
