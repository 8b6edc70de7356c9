import type { Page } from 'playwright/test'

export const databasePage = (page: Page) => ({
  host: page.getByLabel('Database Host'),
  port: page.getByLabel('Database Port'),
  name: page.getByLabel('Database Name'),
  user: page.getByLabel('Database User'),
  password: page.getByLabel('Database Password'),
  tls: page.getByLabel('Use TLS')
})
