/**
 * The browser stories in e2e/, with Debian's Chromium. One at a time: the services of an install without ports in its
 * addresses listen on the fixed ones, so two installs cannot run side by side on one machine.
 */
import { defineConfig } from 'playwright/test'

export default defineConfig({
  testDir: 'e2e/specs',
  outputDir: 'test-results/stories',
  globalSetup: './e2e/world/sandbox.ts',
  workers: 1,
  retries: 0,
  forbidOnly: true,
  // Alone the longest takes one minute; in `npm test` they share the processors with the test files.
  timeout: 300_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  use: {
    // The Control Panel's certificate is from the internal CA; its chain is proved by the device's curl.
    ignoreHTTPSErrors: true,
    actionTimeout: 15_000,
    viewport: { width: 1280, height: 900 },
    launchOptions: {
      executablePath: '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync'
      ]
    }
  }
})
