/** The ladder on a terminal: each finding as it comes, what was not reached in one line, and the answer at the end. */
import type { Finding } from '../../checks/check.ts'
import type { Diagnosis } from '../../checks/key-store/diagnose.ts'
import { printable } from '../console.ts'
import { findingText } from '../finding-text.ts'

interface Teller {
  readonly finding: (finding: Finding) => void
  readonly end: (diagnosis: Diagnosis) => void
}

export function teller(write = (text: string) => void process.stdout.write(printable(text))): Teller {
  let notReached = 0
  const tellNotReached = () => {
    if (notReached > 0) write(`skip  ${notReached} more were not reached.\n`)
    notReached = 0
  }
  return {
    finding: (finding) => {
      if (finding.verdict === 'skip' && finding.say === 'Not reached.') notReached++
      else {
        tellNotReached()
        write(findingText(finding))
      }
    },
    end: (diagnosis) => {
      tellNotReached()
      write(`\n${answerText(diagnosis)}\n`)
    }
  }
}

/** What the administrator asked: can it be used? */
function answerText({ findings, evidence }: Diagnosis): string {
  const failed = findings.find(({ verdict }) => verdict === 'fail')
  const { token } = evidence
  const what =
    evidence.profile === 'nss' || token === null
      ? 'the key store'
      : `${token.label} (slot ${token.slot}, serial ${token.serial})`
  if (failed !== undefined) return `KeyScaler cannot use ${what} yet: see "${failed.title}" above.`
  const warned = findings.filter(({ verdict }) => verdict === 'warn').length
  const warnings = warned === 0 ? '' : ` ${warned === 1 ? 'One warning wants' : `${warned} warnings want`} a look.`
  if (!evidence.loggedIn) return `As far as it shows without a login, KeyScaler can use ${what}.${warnings}`
  return `KeyScaler can use ${what}.${warnings}`
}
