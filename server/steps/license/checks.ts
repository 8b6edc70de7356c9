/** The ladder of the licence step: who signed it, for what and whom, until when, for how many. */
import { trustedIssuers } from '../../../lib/license/evaluation-issuer.ts'
import { type LicenseVerdict, productName, verifyLicense } from '../../../lib/license/license.ts'
import { defineLadder } from '../../checks/check.ts'
import type { Rung } from '../../checks/ladder-judge.ts'

interface SeenLicense {
  readonly verdict: LicenseVerdict
  /** Of the account step; null when that has no answer. */
  readonly tenant: string | null
}

type Problem = Exclude<LicenseVerdict, { valid: true }>['problem']

const problemOf = ({ verdict }: SeenLicense): Problem | null => (verdict.valid ? null : verdict.problem)
const claimsOf = ({ verdict }: SeenLicense) => verdict.claims
const day = (seconds = 0) => new Date(seconds * 1000).toISOString().slice(0, 10)

const signature: Rung<SeenLicense> = {
  id: 'license.signature',
  title: 'Signature',
  outcomes: [
    {
      verdict: 'fail',
      when: (seen) => problemOf(seen) === 'malformed',
      say: 'That is not a license.',
      fix: 'Paste the whole text: three parts of letters and digits with a dot between.',
      field: 'license'
    },
    {
      verdict: 'fail',
      when: (seen) => claimsOf(seen) === undefined,
      say: 'The license signature is not valid.',
      fix: (seen) =>
        problemOf(seen) === 'unknown-issuer'
          ? 'It was signed by somebody whom this server does not know. "keyscaler license issue-evaluation" here makes one for this server.'
          : 'Paste it again, whole and unchanged.',
      field: 'license'
    },
    {
      verdict: 'pass',
      say: (seen) => `Signed for ${claimsOf(seen)?.licensee}${claimsOf(seen)?.evaluation ? ', for evaluation' : ''}.`
    }
  ]
}

const product: Rung<SeenLicense> = {
  id: 'license.product',
  title: 'Product and account',
  outcomes: [
    {
      verdict: 'fail',
      when: (seen) => claimsOf(seen)?.product !== productName,
      say: (seen) => `This license is for ${claimsOf(seen)?.product}.`,
      fix: `Paste the license for ${productName}.`,
      field: 'license'
    },
    {
      verdict: 'fail',
      when: (seen) => {
        const bound = claimsOf(seen)?.tenant
        return bound !== undefined && seen.tenant !== null && bound !== seen.tenant
      },
      say: (seen) => `This license is for ${claimsOf(seen)?.tenant}.`,
      fix: (seen) => `Paste the license for ${seen.tenant}, or go back to Account Creation and change the name.`,
      field: 'license'
    },
    { verdict: 'pass', say: (seen) => `For ${claimsOf(seen)?.product}${boundTo(seen)}.` }
  ]
}

function boundTo(seen: SeenLicense): string {
  const tenant = claimsOf(seen)?.tenant
  return tenant === undefined ? '' : `, account ${tenant}`
}

const dates: Rung<SeenLicense> = {
  id: 'license.dates',
  title: 'Dates',
  outcomes: [
    {
      verdict: 'fail',
      when: (seen) => problemOf(seen) === 'expired',
      say: (seen) => `The license expired on ${day(claimsOf(seen)?.exp)}.`,
      fix: "Ask for a new one; or look at this server's clock.",
      field: 'license'
    },
    {
      verdict: 'fail',
      when: (seen) => problemOf(seen) === 'not-yet-valid',
      say: (seen) => `The license begins on ${day(claimsOf(seen)?.nbf)}.`,
      fix: "Wait until then; or look at this server's clock.",
      field: 'license'
    },
    { verdict: 'pass', say: (seen) => `Valid until ${day(claimsOf(seen)?.exp)}.` }
  ]
}

const devices: Rung<SeenLicense> = {
  id: 'license.devices',
  title: 'Devices',
  outcomes: [{ verdict: 'pass', say: (seen) => `Up to ${claimsOf(seen)?.devices} devices.` }]
}

export const licenseLadder = defineLadder<{ readonly license: string }, SeenLicense>({
  id: 'license.read',
  title: 'License',
  deadlineMs: 5000,
  fix: "Look at the folder license-issuer in the wizard's state folder.",
  field: 'license',
  observe: async ({ license }, { stateDir, earlier }) => {
    const tenant = earlier.account?.tenant
    return {
      verdict: await verifyLicense(license, await trustedIssuers(stateDir)),
      tenant: typeof tenant === 'string' ? tenant : null
    }
  },
  rungs: [signature, product, dates, devices]
})
