/** The question before changes. */
import { createInterface } from 'node:readline/promises'

/**
 * Only a person at a terminal is asked; scripts have said what they want by calling.
 * @param shown what is asked about
 * @returns false: no, by word, Ctrl-C or Ctrl-D
 */
export async function isWanted(shown: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return true
  // Before anything is shown: a key that is pressed then is an answer, and no longer the terminal's.
  const console = createInterface({ input: process.stdin, output: process.stderr })
  process.stderr.write(shown)
  // A terminal that is gone or ended closes it, and Node leaves the question open then.
  const closed = new Promise<string>((gone) => console.once('close', () => gone('')))
  try {
    const answer = await Promise.race([console.question('Apply this? [y/N] '), closed])
    return /^y(es)?$/i.test(answer.trim())
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'AbortError') return false
    throw thrown
  } finally {
    console.close()
  }
}
