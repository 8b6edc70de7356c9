import type { Page } from 'playwright/test'

export const cpPage = (page: Page) => ({
  host: page.getByLabel('CP Host Address')
})
