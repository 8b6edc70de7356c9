import { defineStep } from '../define-step.ts'
import { certificateViews } from '../host-fields.ts'
import type { FieldView, KeysOfUnion } from '../step.ts'
import { type KmsAnswers, kmsAnswers } from './answers.ts'
import { kmsPlan } from './plan.ts'

const hsmOnly = { onlyWhen: { field: 'keyStore', is: ['gemalto-safenet'] } } as const
const heldBack = 'A password that is held back'
const nssOnly = { onlyWhen: { field: 'keyStore', is: ['nss'] } } as const

/** Labels, options, placeholders and order are the guide's (figures 3 and 6); what it does not ask stands folded. */
const fields: Readonly<Record<KeysOfUnion<KmsAnswers>, FieldView>> = {
  keyStore: {
    label: 'Key Store Options',
    control: 'select',
    initial: 'gemalto-safenet',
    options: [
      { value: 'gemalto-safenet', label: 'Gemalto SafeNet' },
      { value: 'nss', label: 'Software-only NSSKeyStore module' }
    ],
    hint: 'An HSM (Luna or Data Protection on Demand) is recommended: with the software module, keys are not HSM-protected.'
  },
  slot: {
    label: 'Gemalto SafeNet Slot Number',
    control: 'text',
    placeholder: '0',
    hint: 'As lunacm shows it (slot list).',
    autocomplete: 'off',
    ...hsmOnly
  },
  partition: {
    label: 'Gemalto SafeNet Partition Name',
    control: 'text',
    placeholder: 'partition name',
    hint: 'The label that the partition got when it was initialised (par init -label).',
    autocomplete: 'off',
    ...hsmOnly
  },
  password: {
    label: 'Gemalto SafeNet KeyStore Password',
    control: 'password',
    hint: 'The current Crypto Officer password (after role changepw), not that of the Partition SO or the Crypto User.',
    secret: true,
    autocomplete: 'current-password',
    ...hsmOnly
  },
  nssFolder: {
    label: 'Key store folder',
    control: 'text',
    placeholder: '/var/lib/keyscaler/nss',
    hint: 'Absolute path of the folder for the NSS database; it is made when it is absent.',
    autocomplete: 'off',
    ...nssOnly
  },
  nssPassword: {
    label: 'Key store password',
    control: 'password',
    hint: 'At least 12 characters. An existing key store needs its own password.',
    secret: true,
    autocomplete: 'new-password',
    ...nssOnly
  },
  nssPasswordAgain: {
    label: 'Key store password again',
    control: 'password',
    secret: true,
    autocomplete: 'new-password',
    ...nssOnly
  },
  kmsHost: {
    label: 'KMS Host Address',
    control: 'text',
    placeholder: 'Example: https://kms.serverfarm.com',
    hint: "The address, with its protocol, where the KMS will be; on a single node usually the same as the DAE's. The host name must resolve by DNS or /etc/hosts.",
    autocomplete: 'off'
  },
  library: {
    label: 'PKCS#11 library',
    control: 'text',
    placeholder: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so',
    hint: 'Empty: the library of the client that was found on this machine.',
    autocomplete: 'off',
    optional: true,
    folded: 'HSM client'
  },
  confPath: {
    label: 'Chrystoki.conf folder',
    control: 'text',
    placeholder: '/etc',
    hint: "Empty: the client's own. For Data Protection on Demand the folder where the client was unpacked, /opt/dpod.",
    autocomplete: 'off',
    optional: true,
    folded: 'HSM client',
    ...hsmOnly
  },
  serial: {
    label: 'Partition Serial Number',
    control: 'text',
    hint: 'Filled in when a partition is chosen or pasted; then only that one is used, wherever it moves. Empty: the one that slot and name lead to.',
    autocomplete: 'off',
    optional: true,
    folded: 'HSM client',
    ...hsmOnly
  },
  sendAgain: {
    label: 'Send the password all the same',
    control: 'checkbox',
    hint: 'Only after the Crypto Officer has confirmed it: a password that was rejected before, or after three failures. Each wrong one counts towards the lock.',
    // Not kept and never shown ticked: it is meant for one submission.
    secret: true,
    optional: true,
    folded: heldBack,
    ...hsmOnly
  },
  confirmLabel: {
    label: 'Partition name, to confirm the last try',
    control: 'text',
    hint: 'Only when the partition says that one more wrong password locks it. The Partition SO can help first: see the check.',
    secret: true,
    autocomplete: 'off',
    optional: true,
    folded: heldBack,
    ...hsmOnly
  },
  masterKey: {
    label: 'Master key',
    control: 'select',
    initial: 'generate',
    options: [
      { value: 'generate', label: 'Generate one' },
      { value: 'use-existing', label: 'Use the one that this install made earlier' }
    ],
    optional: true,
    folded: 'HSM client'
  },
  ...certificateViews
}

const whereKeysAre = ['keyStore', 'partition', 'nssFolder', 'library', 'confPath'] as const

export const kmsStep = defineStep<'kms', KmsAnswers>({
  id: 'kms',
  title: 'KMS Deployment',
  heading: 'KMS Host Information',
  intro: 'Please answer the following questions to configure the Key Management Service (KMS).',
  answers: kmsAnswers,
  fields,
  checks: async () => (await import('./checks.ts')).kmsChecks,
  // The kept broker password is sealed under this key store's master key; the rest speaks to the KMS.
  makesStale: ['account', 'kafka', 'dae', 'mqs', 'cp', 'complete'],
  starts: 'kms',
  getReady: async () => (await import('./waiting-agent.ts')).letAgentWait(),
  secretsBoundTo: ['keyStore', 'library', 'confPath', 'slot', 'partition', 'serial', 'nssFolder'],
  effects: (answers) => [
    ...(answers.keyStore === 'nss' ? [{ kind: 'key-store', name: answers.nssFolder, of: whereKeysAre } as const] : []),
    { kind: 'key', name: 'master', of: whereKeysAre },
    { kind: 'certificate-authority', name: 'service-ca', of: whereKeysAre },
    { kind: 'certificate', name: 'kms' },
    { kind: 'certificate', name: 'wizard', of: whereKeysAre },
    { kind: 'service', name: 'kms' }
  ],
  undo: async () => (await import('./undo.ts')).undoKms,
  plan: kmsPlan,
  apply: async () => (await import('./apply.ts')).applyKms
})
