/** What is looked at on every page and state that a story reaches: axe in light and dark, narrow screens, a picture. */
import { AxeBuilder } from '@axe-core/playwright'
import { expect, type Page } from 'playwright/test'
import { fromRoot } from '../../sandbox/root.ts'

/** A width at which nothing may have to be scrolled sideways (WCAG 1.4.10). */
const narrow = { width: 320, height: 800 }

/** axe finds nothing: every rule in light, and what colours change in dark. */
export async function expectAccessible(page: Page, state: string): Promise<void> {
  // Legacy: there are no frames here that would need a page of their own to be put together.
  const axe = () => new AxeBuilder({ page }).setLegacyMode()
  const all = await axe()
    .options({ resultTypes: ['violations'] })
    .analyze()
  await page.emulateMedia({ colorScheme: 'dark' })
  const dark = await axe()
    .options({ resultTypes: ['violations'], runOnly: ['color-contrast'] })
    .analyze()
  await page.emulateMedia({ colorScheme: 'light' })
  const found = [...all.violations, ...dark.violations].map(({ id, help, nodes }) => ({
    id,
    help,
    where: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`)
  }))
  expect(found, `axe on ${state}`).toEqual([])
}

/** Nothing is wider than a phone. */
export async function expectReflow(page: Page, state: string): Promise<void> {
  const size = page.viewportSize()
  await page.setViewportSize(narrow)
  const width = await page.evaluate('document.documentElement.scrollWidth')
  if (size !== null) await page.setViewportSize(size)
  expect(width, `width of ${state} on a narrow screen`).toBeLessThanOrEqual(narrow.width)
}

/** Kept in test-results/screens, for people to look at. */
export async function keepScreen(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: fromRoot(`test-results/screens/${name}.png`), fullPage: true })
}
