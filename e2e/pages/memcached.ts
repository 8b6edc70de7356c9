import type { Page } from 'playwright/test'

export const memcachedPage = (page: Page) => ({
  servers: page.getByLabel('Memcached Servers'),
  prefix: page.getByLabel('Key Prefix')
})
