/** What every page of setup has around its own fields: heading, summary, checks, buttons, the list of steps. */
import type { Locator, Page } from 'playwright/test'

export function frameOf(page: Page) {
  return {
    heading: page.getByRole('heading', { level: 1 }),
    summary: page.getByRole('alert').filter({ hasText: 'There is a problem' }),
    // Narrow screens have it a second time, folded.
    progress: page.getByRole('navigation', { name: 'Setup progress' }).locator('> ol'),
    current: page.locator('[aria-current=step]:visible'),
    checks: page.getByRole('region', { name: 'Checks' }),
    plan: page.getByRole('region', { name: 'What Next will do' }),
    shownOnce: page.getByRole('region', { name: 'Keep this now: it is shown once' }),
    // The hidden one before the fields is for the Enter key.
    next: page.getByRole('button', { name: /^(Next|Finish)$/ }),
    test: page.getByRole('button', { name: 'Test', exact: true }),
    back: page.getByRole('link', { name: 'Back', exact: true }),
    continueAnyway: page.getByRole('checkbox', { name: 'Continue anyway' }),
    status: page.locator('#progress')
  }
}

/** The row of one check, by its id. */
export function checkRow(page: Page, id: string): Locator {
  return page.locator(`#checks li[data-id="${id}"]`)
}

/** What stands in red beside a field. */
export function errorOf(page: Page, field: string): Locator {
  return page.locator(`#f-${field}-error`)
}
