/** Step 6: the licence, a signed statement of who may manage how many devices until when. */
import { z } from 'zod'
import { text } from '../answer-fields.ts'
import { defineStep } from '../define-step.ts'

const answers = z.strictObject({
  license: text('License')
    .max(65_536, 'License must be at most 64 kB.')
    // Pasted from a mail it may be broken into lines.
    .transform((pasted) => pasted.replace(/\s+/g, ''))
})

export type LicenseAnswers = z.infer<typeof answers>

const named = z.object({ jti: z.string() })

function idOf(license: string): string {
  try {
    const [, payload = ''] = license.split('.')
    return named.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))).jti
  } catch {
    return ''
  }
}

export const licenseStep = defineStep<'license', LicenseAnswers>({
  id: 'license',
  title: 'System License',
  intro: 'Please paste the license that you were given.',
  answers,
  fields: {
    license: {
      label: 'License',
      control: 'textarea',
      hint: 'The whole text. For a trial, "keyscaler license issue-evaluation" on this server makes one.'
    }
  },
  checks: async () => [(await import('./checks.ts')).licenseLadder],
  makesStale: [],
  apply: async () => (await import('./apply.ts')).applyLicense,
  // Which one it is can be read without trusting it: the check has verified it before anything is made.
  effects: ({ license }) => [{ kind: 'license', name: idOf(license) }],
  plan: () => ['Stores the license']
})
