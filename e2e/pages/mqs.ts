import type { Page } from 'playwright/test'

export const mqsPage = (page: Page) => ({
  host: page.getByLabel('MQS Host Address')
})
