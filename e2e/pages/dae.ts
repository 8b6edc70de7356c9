import type { Page } from 'playwright/test'

export const daePage = (page: Page) => ({
  host: page.getByLabel('DAE Host Address')
})
