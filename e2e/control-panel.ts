/** The pages of the Control Panel that a story needs. */
import type { Page } from 'playwright/test'

export const controlPanelPage = (page: Page) => ({
  heading: page.getByRole('heading', { level: 1 }),
  email: page.getByLabel('E-mail'),
  password: page.getByLabel('Password', { exact: true }),
  logIn: page.getByRole('button', { name: 'Log in' }),
  registrations: page.getByRole('link', { name: 'Registrations', exact: true }),
  devices: page.getByRole('link', { name: 'Devices', exact: true }),
  deviceName: page.getByLabel('Device Name'),
  register: page.getByRole('button', { name: 'Register' }),
  secret: page.locator('div:has(> dt:text-is("One-time secret")) code'),
  commands: page.locator('pre code')
})
