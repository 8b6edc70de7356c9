import type { Page } from 'playwright/test'

/** The last step, and the page that stands in its place when setup is locked: both show the result. */
export const completePage = (page: Page) => ({
  verdict: page.locator('.verdict'),
  services: page.getByRole('region', { name: 'Services' }),
  enrolCommand: page.getByRole('region', { name: 'Enrol the first device' }),
  controlPanel: page.getByRole('link', { name: 'Open the Control Panel' }),
  locked: page.getByText('Setup is locked; to reopen it:'),
  notProtected: page.getByText('The keys are in a software key store: not HSM-protected.'),
  enterNewPassword: page.getByRole('link', { name: 'Enter the present password' }),
  // The page that the link leads to (server/web/password-routes.ts).
  oneTimeCode: page.getByLabel('One-time code'),
  newPassword: page.getByLabel('New password', { exact: true }),
  usePassword: page.getByRole('button', { name: 'Use this password' })
})
