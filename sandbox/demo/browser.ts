/** The same answers once more, entered by a headless browser: every field by its id, Next, eleven times. */
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { chromium, type Page } from 'playwright'
import { parse } from 'yaml'
import { z } from 'zod'
import { writeSampleFiles } from '../answers.ts'
import type { Sandbox } from '../sandbox.ts'
import { startWizard } from '../wizard.ts'

const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

const answer = z.union([z.string(), z.number(), z.boolean(), z.object({ file: z.string() })])
const answersFile = z.object({ steps: z.record(z.string(), z.record(z.string(), answer)) })

/** Null: none is installed (only `npm test` brings one). */
export function chromiumHere(): string | null {
  return programs.find((program) => existsSync(program)) ?? null
}

/** @returns seconds from the setup code to the last step done, live checks and deployment included */
export async function installByBrowser(sandbox: Sandbox, executablePath: string): Promise<number> {
  const files = await writeSampleFiles(sandbox)
  const wizard = startWizard(sandbox, ['serve', '--state', files.state, '--port', '0'], 'pipe')
  const browser = await chromium.launch({ executablePath, args: flags })
  try {
    const { url, code } = await announced(wizard.output)
    const page = await browser.newPage()
    const began = performance.now()
    await page.goto(url)
    await page.locator('#f-code').fill(code)
    await next(page, `${url}/setup/steps/welcome`)
    const { steps } = answersFile.parse(parse(readFileSync(files.answers, 'utf8')))
    const ids = Object.keys(steps)
    for (const [index, id] of ids.entries()) {
      for (const [field, value] of Object.entries(steps[id] ?? {})) await enter(page, field, value)
      const following = ids[index + 1]
      await next(page, following === undefined ? `${url}/` : `${url}/setup/steps/${following}`)
    }
    return (performance.now() - began) / 1000
  } finally {
    await browser.close()
    wizard.stop()
    await wizard.ended
  }
}

async function enter(page: Page, field: string, value: z.infer<typeof answer>): Promise<void> {
  const control = page.locator(`#f-${field}`)
  // A field that stands folded: opened as an administrator would.
  const fold = page.locator('details:not([open])', { has: control }).locator('summary')
  if ((await fold.count()) > 0) await fold.click()
  const text = typeof value === 'object' ? readFileSync(value.file, 'utf8').trimEnd() : String(value)
  if (value === true) await control.check()
  else if ((await control.evaluate(({ tagName }) => tagName)) === 'SELECT') await control.selectOption(text)
  else await control.fill(text)
}

/** @throws Error with the page's summary when it does not get there */
async function next(page: Page, url: string): Promise<void> {
  await page.locator('main .actions .primary').click()
  const refused = page.locator('#summary').waitFor({ timeout: 60_000 })
  const arrived = page.waitForURL(url, { timeout: 60_000 }).then(() => true)
  const there = await Promise.race([arrived, refused.then(() => false)])
  refused.catch(() => {})
  arrived.catch(() => {})
  if (!there) throw new Error(`the wizard says: ${await page.locator('#summary').innerText()}`)
}

/** From the console: where the wizard is, and the one-time code. */
async function announced(output: NodeJS.ReadableStream | null): Promise<{ url: string; code: string }> {
  if (output === null) throw new Error('the console of the wizard is not read')
  let url = ''
  for await (const line of createInterface({ input: output })) {
    url = /^Setup wizard: (\S+)/.exec(line)?.[1] ?? url
    const code = /^Setup code: +(\S+)/.exec(line)?.[1]
    if (code !== undefined) return { url, code }
  }
  throw new Error('the wizard ended before it was up')
}
