/** A job, on a page of its own or at the end of its step's. */
import type { Page } from 'playwright/test'

export const jobPage = (page: Page) => {
  const part = page.locator('#job')
  return {
    part,
    heading: part.getByRole('heading', { level: 2 }),
    phases: part.locator('[data-part=phases] > li'),
    log: part.getByRole('log'),
    waiting: part.locator('[data-part=waiting]'),
    cancel: part.getByRole('button', { name: 'Cancel' }),
    retry: part.getByRole('button', { name: 'Retry' }),
    stands: part.getByRole('heading', { name: 'What stands' }),
    underWay: page.locator('#under-way'),
    watch: page.locator('#under-way').getByRole('link', { name: 'watch it' }),
    lookAgain: page.getByRole('link', { name: 'Look again' })
  }
}
