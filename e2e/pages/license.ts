import type { Page } from 'playwright/test'

export const licensePage = (page: Page) => ({
  license: page.getByLabel('License')
})
