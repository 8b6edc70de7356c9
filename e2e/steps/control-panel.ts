/** What the first administrator does when setup is done: logs in, registers a device, looks whether it has enrolled. */
import { expect, type Page } from 'playwright/test'
import { controlPanelPage } from '../control-panel.ts'
import type { World } from '../world/world.ts'

/** @param address as Setup Complete! links it */
export async function logIn(page: Page, { administrator }: World, address: string): Promise<void> {
  const panel = controlPanelPage(page)
  await page.goto(address)
  await panel.email.fill(administrator.email)
  await panel.password.fill(administrator.password)
  await panel.logIn.click()
  await expect(panel.heading).toHaveText('Overview')
}

export interface Registration {
  readonly secret: string
  /** The shell commands that the page shows for the device, in their order. */
  readonly commands: readonly string[]
}

export async function registerDevice(page: Page, deviceName: string): Promise<Registration> {
  const panel = controlPanelPage(page)
  await panel.registrations.click()
  await panel.deviceName.fill(deviceName)
  await panel.register.click()
  await expect(panel.heading).toHaveText(`${deviceName} is registered`)
  return { secret: await panel.secret.innerText(), commands: await panel.commands.allInnerTexts() }
}
