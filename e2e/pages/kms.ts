import type { Page } from 'playwright/test'

export const kmsPage = (page: Page) => ({
  keyStore: page.getByLabel('Key Store Options'),
  slot: page.getByLabel('Gemalto SafeNet Slot Number'),
  partition: page.getByLabel('Gemalto SafeNet Partition Name'),
  password: page.getByLabel('Gemalto SafeNet KeyStore Password'),
  folder: page.getByLabel('Key store folder'),
  newPassword: page.getByLabel('Key store password', { exact: true }),
  newPasswordAgain: page.getByLabel('Key store password again'),
  host: page.getByLabel('KMS Host Address'),
  showPassword: page.getByRole('checkbox', { name: 'Show Password' }),
  found: page.getByRole('group', { name: 'Partitions found' }),
  partitionFound: page.getByRole('radio', { name: 'Slot 3: HSMoDnFIPS' }),
  useThisPartition: page.getByRole('button', { name: 'Use this partition' }),
  rescan: page.getByRole('button', { name: 'Rescan' }),
  useSlot3: page.getByRole('button', { name: 'Use slot 3' }),
  softwareWarning: page.getByText('With the software-only module keys are not HSM-protected.')
})
