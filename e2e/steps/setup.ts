/** How an administrator goes through setup: opens it with the code, enters a step's answers, tests them, goes on. */
import { expect, type Page } from 'playwright/test'
import { type StepId, stepIds } from '../../server/steps/step.ts'
import { frameOf } from '../frame.ts'
import type { World } from '../world/world.ts'
import { type Choices, enter, entriesOf } from './entries.ts'

const applyWithinMs = 60_000

export async function openSetup(page: Page, { wizard }: World): Promise<void> {
  await page.goto(wizard.url)
  await page.getByLabel('Setup code').fill(wizard.code)
  await page.getByRole('button', { name: 'Next' }).click()
  await expect(frameOf(page).heading).toHaveText('Welcome')
}

/** Enters a step's answers and goes on to the next step. */
export async function completeStep(page: Page, world: World, id: StepId, choices: Choices): Promise<void> {
  await enter(entriesOf[id](page, world, choices))
  await goOn(page, id)
}

/** Everything from the step where setup stands to the last one; that one is left to the story. */
export async function completeSteps(
  page: Page,
  world: World,
  choices: Choices,
  { from = 'welcome', upTo = 'cp' }: { from?: StepId; upTo?: StepId } = {}
): Promise<void> {
  for (const id of stepIds.slice(stepIds.indexOf(from), stepIds.indexOf(upTo) + 1)) {
    await completeStep(page, world, id, choices)
  }
}

/**
 * Presses Next, or does what `press` does, and waits for the next step's page.
 * @throws Error with what the page says when it is refused
 */
export async function goOn(
  page: Page,
  id: StepId,
  press: () => Promise<void> = () => frameOf(page).next.click()
): Promise<void> {
  const { summary, continueAnyway } = frameOf(page)
  const after = stepIds[stepIds.indexOf(id) + 1]
  const timeout = applyWithinMs
  const there = page.waitForURL((url) => url.pathname === (after ? `/setup/steps/${after}` : '/'), { timeout })
  // A summary that stands there from the last try says nothing about this one.
  const signs = (await summary.isVisible()) ? [] : [summary, continueAnyway]
  const refused = signs.map((sign) => sign.waitFor({ timeout }).then(() => 'refused'))
  const went = there.then(() => 'went on')
  for (const end of [went, ...refused]) end.catch(() => {})
  await press()
  if ((await Promise.race([went, ...refused])) === 'went on') return
  throw new Error(`${id} was refused:\n${await page.getByRole('main').innerText()}`)
}

/** Presses Test and waits until the answer is on the page: it brings a main part of its own, with scripts or without. */
export async function testAnswers(
  page: Page,
  press: () => Promise<void> = () => frameOf(page).test.click()
): Promise<void> {
  await page.locator('main').evaluate((main) => main.setAttribute('id', 'before'))
  await press()
  await page.locator('main#main').waitFor({ timeout: applyWithinMs })
}
