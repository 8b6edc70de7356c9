/**
 * The KMS comes up: key store (one login), master key, canary, service CA, routes. Anything missing ends the program before it
 * listens; what is lost later is answered with 503 and comes back by itself (key-store-link.ts).
 */

import { basename, dirname } from 'node:path'
import { AppError } from '../../lib/errors/app-error.ts'
import type { AgentAhead } from '../../lib/keystore/agent-ahead.ts'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard, type PinGuard } from '../../lib/keystore/pin-guard.ts'
import { type RunningService, type Service, secretFrom } from '../../lib/service/service.ts'
import { registerRoutes } from './app.ts'
import { openAudit } from './audit.ts'
import { openCaRollover } from './ca-rollover.ts'
import { openCertificateAuthorities } from './certificate-authority.ts'
import type { KmsConfig } from './config.ts'
import { openDataKeys } from './data-keys.ts'
import { openKeyDestruction } from './key-destruction.ts'
import { openKeyRing } from './key-ring.ts'
import { openKeyRotations } from './key-rotation.ts'
import { linkKeyStore } from './key-store-link.ts'
import { openMasterKey } from './master-key.ts'
import { openMeasures } from './measures.ts'
import { readiness } from './readiness.ts'
import { openServiceCertificates } from './service-certificates.ts'
import { openSigningKeys } from './signing.ts'
import { openWrappingKeys } from './wrapping-keys.ts'

/** @param agent for the first opening; absent: one is started then */
export async function startKms(
  { config, log, app, database, metrics, fail }: Service<KmsConfig>,
  agent?: AgentAhead
): Promise<RunningService> {
  // A password may end in a space, so only the line's end is cut off.
  const pin = (await secretFrom(config.pinFile)).replace(/\r?\n$/, '')
  const guard = sharedGuard(config.pinGuard)
  const measures = openMeasures(metrics)
  const masterKey = await openMasterKey(database, config)
  const { sessions } = config.keyStore
  const keyStore = { ...config.keyStore, moduleSha256: config.moduleSha256 }
  const link = await linkKeyStore({
    open: (onLost) => openKeyStore(keyStore, pin, { guard, agent, onLost, sessions }),
    prove: masterKey.prove,
    log,
    opened: measures.keyStoreOpen,
    pinRejected: fail
  })
  try {
    const ring = openKeyRing(database, link)
    const keys = openWrappingKeys(ring)
    registerRoutes(app, {
      ring,
      dataKeys: openDataKeys(link, keys, measures),
      authorities: openCertificateAuthorities(ring, link, measures),
      succeedCa: openCaRollover(ring, link, measures),
      services: await openServiceCertificates(config.serviceCa, link, measures),
      signing: openSigningKeys(ring, link, measures),
      rotations: openKeyRotations({ database, link, ring, keys, masterReplaced: masterKey.replacedBy }),
      destroyKey: openKeyDestruction(database, ring, link),
      audit: openAudit(database, log)
    })
    return { ready: () => readiness(link, database, config.keyStore.profile), close: link.close }
  } catch (thrown) {
    await link.close()
    throw thrown
  }
}

/** The wizard's and ours must be the same folder, or a wrong PIN would be sent twice. @param folder `pin-guard` of the state folder */
function sharedGuard(folder: string): PinGuard {
  if (basename(folder) !== 'pin-guard') {
    throw new AppError('invalid-input', `pinGuard must be the folder "pin-guard" of the state folder, not ${folder}.`)
  }
  return openPinGuard(dirname(folder))
}
