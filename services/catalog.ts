/**
 * What can be deployed: one row a service. The wizard reads the services only through this file: names, ports,
 * programs, configuration schemas and health paths.
 */
import type { z } from 'zod'

export const serviceNames = ['kms', 'dae', 'mqs', 'cp'] as const
export type ServiceName = (typeof serviceNames)[number]

export interface ServiceEntry {
  readonly name: ServiceName
  readonly title: string
  readonly needs: readonly ServiceName[]
  /** Fixed default port: where it listens when the address has none. */
  readonly port: number
  /** Program, from the root of the checkout. */
  readonly program: string
  /** Loaded when one is deployed. */
  readonly config: () => Promise<z.ZodType>
  readonly health: { readonly path: string; readonly withinMs: number }
}

const health = { path: '/readyz', withinMs: 20_000 }

export const catalog: Readonly<Record<ServiceName, ServiceEntry>> = {
  kms: {
    name: 'kms',
    title: 'Key Management Service',
    needs: [],
    port: 9443,
    program: 'services/kms/main.ts',
    config: async () => (await import('./kms/config.ts')).kmsConfig,
    // A Luna or DPoD client may need a minute for its first login.
    health: { ...health, withinMs: 75_000 }
  },
  dae: {
    name: 'dae',
    title: 'Device Authority Engine',
    needs: ['kms'],
    port: 9444,
    program: 'services/dae/main.ts',
    config: async () => (await import('./dae/config.ts')).daeConfig,
    health
  },
  mqs: {
    name: 'mqs',
    title: 'Message Queue Service',
    needs: ['kms'],
    port: 9445,
    program: 'services/mqs/main.ts',
    config: async () => (await import('./mqs/config.ts')).mqsConfig,
    health
  },
  cp: {
    name: 'cp',
    title: 'Control Panel',
    needs: ['kms', 'dae', 'mqs'],
    port: 9446,
    program: 'services/cp/main.ts',
    config: async () => (await import('./cp/config.ts')).cpConfig,
    health
  }
}
