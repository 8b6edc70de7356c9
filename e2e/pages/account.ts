import type { Page } from 'playwright/test'

export const accountPage = (page: Page) => ({
  tenant: page.getByLabel('Account Name'),
  fullName: page.getByLabel('Full Name'),
  email: page.getByLabel('E-mail'),
  password: page.getByLabel('Password', { exact: true }),
  passwordAgain: page.getByLabel('Password (again)')
})
