// Nothing here uses it by this name: so it is loaded before the service's turn comes, with all the rest (standby.ts).
import 'memcached'
import { openCache } from '../../lib/cache/cache.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import { within } from '../../lib/process/within.ts'
import type { RunningService, Service } from '../../lib/service/service.ts'
import { registerApi } from './api.ts'
import { openAttempts } from './attempts.ts'
import { openAuthority } from './authority.ts'
import { openCertificateRecord } from './certificate-record.ts'
import type { DaeConfig } from './config.ts'
import { openEnrolment } from './enrolment.ts'
import { registerEst } from './est.ts'
import { openReenrolment } from './reenrolment.ts'
import { openReenrolmentRecord } from './reenrolment-record.ts'
import { openRegistrations } from './registrations.ts'

/** Whoever asks how we are waits two seconds at most. */
const partMs = 1500

export async function startDae({ config, app, database, metrics }: Service<DaeConfig>): Promise<RunningService> {
  const kms = openKmsClient({ address: config.kms.address, identity: config.identity })
  const cache = openCache(config.memcached.servers, config.memcached.prefix)
  const authority = openAuthority(database, config.tenant)
  const registrations = openRegistrations(database, config.tenant)
  const record = openCertificateRecord(database, config)
  const enrolment = openEnrolment({ kms, authority, registrations, record, metrics })
  const reenrolment = openReenrolment({ kms, authority, record: openReenrolmentRecord(database, config), metrics })
  registerEst(app, { label: config.estLabel, authority, enrolment, reenrolment, attempts: openAttempts(cache) })
  registerApi(app, { database, tenant: config.tenant, registrations })

  return {
    ready: async () => {
      const [data, keys, versions] = await Promise.all([
        within(partMs, 'database', () => database.query('SELECT 1')).then(
          () => ({ ok: true, detail: 'answers' }),
          () => ({ ok: false, detail: 'does not answer' })
        ),
        within(partMs, 'KMS', kms.health).then(
          ({ ready, detail }) => ({ ok: ready, detail }),
          (thrown: Error) => ({ ok: false, detail: thrown.message })
        ),
        cache.versions()
      ])
      const silent = Object.values(versions).filter((version) => version === null).length
      // Nothing depends on the cache for correctness: it is told, and does not make us unready.
      const cached = { ok: true, detail: silent === 0 ? 'answers' : `${silent} of its servers do not answer` }
      return { ready: data.ok && keys.ok, parts: { database: data, kms: keys, memcached: cached } }
    },
    close: async () => {
      cache.close()
      await kms.close()
    }
  }
}
