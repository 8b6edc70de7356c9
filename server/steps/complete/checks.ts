/** The last look: every service healthy, and the fingerprints by which what was made is recognised. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fingerprint } from '../../../lib/x509/fingerprint.ts'
import { catalog, type ServiceName, serviceNames } from '../../../services/catalog.ts'
import { type Check, defineCheck } from '../../checks/check.ts'
import { type KeyStoreRecord, readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { identityFiles } from '../../deploy/identity-files.ts'
import { askReadiness, type Readiness } from '../../deploy/process/readiness.ts'
import { readDeployedConfig, runFolder } from '../../deploy/process/run-folder.ts'
import { reachOf } from '../../deploy/process/service-request.ts'

const deadlineMs = 10_000

interface SeenService extends Readiness {
  readonly address: string
}

function serviceHealthy(service: ServiceName): Check<object> {
  const { title, health } = catalog[service]
  return defineCheck<object, SeenService>({
    id: `complete.${service}-healthy`,
    title,
    deadlineMs,
    fix: `Look at its log, run/${service}/service.log in the state folder.`,
    observe: async (_answers, { stateDir }) => {
      const reach = reachOf(await readDeployedConfig(runFolder(stateDir, service)))
      if (reach === null) return { address: '', ready: false, detail: 'it is not deployed' }
      return { address: reach.address, ...(await askReadiness(reach, health.path, 5000)) }
    },
    outcomes: [
      {
        verdict: 'fail',
        when: ({ ready }) => !ready,
        say: ({ detail }) => `The ${title} is not ready: ${detail}.`,
        fix: `Its log is run/${service}/service.log in the state folder; go back to its step and press Next to deploy it again.`
      },
      { verdict: 'pass', say: ({ address }) => `Ready at ${address}.` }
    ]
  })
}

interface SeenFingerprints {
  readonly ca: string | null
  readonly keyStore: KeyStoreRecord | null
}

const fingerprints = defineCheck<object, SeenFingerprints>({
  id: 'complete.fingerprints',
  title: 'Fingerprints',
  deadlineMs,
  fix: 'Go back to the KMS Deployment step.',
  observe: async (_answers, { stateDir }) => {
    const pem = await readFile(identityFiles(stateDir, 'kms').ca, 'utf8').catch(() => null)
    return {
      ca: pem === null ? null : fingerprint(new X509Certificate(pem)),
      keyStore: await readKeyStoreRecord(stateDir)
    }
  },
  outcomes: [
    {
      verdict: 'fail',
      when: ({ ca, keyStore }) => ca === null || keyStore === null,
      say: 'The internal CA or the record of the key store is missing in the state folder.',
      fix: 'Restore the state folder, or go back to the KMS Deployment step and press Next.'
    },
    {
      verdict: 'info',
      say: ({ ca, keyStore }) =>
        `Internal CA SHA-256 ${ca}. Key store ${keyStore?.label}, serial ${keyStore?.serial}${keyStore?.profile === 'nss' ? ': not HSM-protected' : ''}.`
    }
  ]
})

export const completeChecks: readonly Check<object>[] = [...serviceNames.map(serviceHealthy), fingerprints]
