import type { Page } from 'playwright/test'

export const welcomePage = (page: Page) => ({
  terms: page.getByLabel('I accept the Terms of Use'),
  server: page.getByRole('region', { name: 'This server' })
})
