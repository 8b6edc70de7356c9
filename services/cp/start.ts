import { readFile } from 'node:fs/promises'
import type { RunningService, Service } from '../../lib/service/service.ts'
import { registerAuthorities } from './authorities.ts'
import type { CpConfig } from './config.ts'
import { registerDevices } from './devices.ts'
import { registerEvents } from './events.ts'
import { openHealthBoard } from './health-board.ts'
import { registerHelp } from './help.ts'
import { openLogin } from './login.ts'
import { registerLoginCheck } from './login-check.ts'
import { registerLoginPages } from './login-pages.ts'
import { registerOverview } from './overview.ts'
import { panelFrame } from './panel.ts'
import { openPasswords } from './passwords.ts'
import { openPeer } from './peer.ts'
import { registerRegistrations } from './registrations.ts'
import { askForSession } from './session-guard.ts'
import { openSessions } from './sessions.ts'

export async function startCp({ config, app, database, log, metrics }: Service<CpConfig>): Promise<RunningService> {
  const { address, identity, kms, dae, mqs, sessionDays } = config
  const [passwords, trustedCas, kmsPeer, daePeer, mqsPeer] = await Promise.all([
    openPasswords(),
    readFile(identity.ca, 'utf8'),
    openPeer('kms', kms.address, identity),
    openPeer('dae', dae.address, identity),
    openPeer('mqs', mqs.address, identity)
  ])
  const sessions = openSessions(database, sessionDays)
  const login = openLogin({ database, passwords, sessions, log, metrics })
  const health = openHealthBoard(database, [kmsPeer, daePeer, mqsPeer])

  registerLoginCheck(app, { database, passwords })
  await app.register(async (panel) => {
    await panelFrame(panel, { address, listenHost: config.listen.host })
    registerHelp(panel)
    registerLoginPages(panel, { login, sessions, sessionDays })
    await panel.register(async (inside) => {
      askForSession(inside, sessions)
      registerOverview(inside, { database, health })
      registerRegistrations(inside, { database, dae: daePeer })
      registerDevices(inside, database)
      registerEvents(inside, database)
      registerAuthorities(inside, { database, trustedCas })
    })
  })

  return {
    // The pages tell how the other services are; here counts only what logging in needs.
    ready: async () => {
      const [data, verifies] = await Promise.all([health.database(), passwords.haveProved()])
      const verifier = { ok: verifies, detail: verifies ? 'argon2id proved on a canary' : 'argon2id fails its canary' }
      return { ready: data.ok && verifies, parts: { database: data, passwords: verifier } }
    },
    close: async () => {
      for (const peer of [kmsPeer, daePeer, mqsPeer]) peer.close()
    }
  }
}
