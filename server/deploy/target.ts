/** Where services run. `process` is the default; systemd, Compose and Kubernetes are other targets behind the same port. */
import type { ServiceName } from '../../services/catalog.ts'

/** What is wanted of one service; configuration is the service's own schema's input (services/catalog.ts). */
export interface ServicePlan {
  readonly name: ServiceName
  /** Written to a 0600 file; secrets in it are paths of credential files. */
  readonly config: unknown
}

export type ServiceState = 'starting' | 'ready' | 'unhealthy' | 'backing-off' | 'latched' | 'stopped'

export interface ServiceStatus {
  readonly name: ServiceName
  readonly state: ServiceState
  readonly pid: number | null
  /** https://host:port as other machines reach it. */
  readonly address: string
  readonly since: string
  readonly restarts: number
  /** In plain words: why it is not ready, or "sealed: PIN rejected". */
  readonly detail: string
}

export interface SeenService extends Pick<ServiceStatus, 'name' | 'state' | 'detail'> {
  /** For people. */
  readonly title: string
}

/** For who waits until a service is ready. */
export interface DeployWatch {
  /** A line that the service logs meanwhile, as it has redacted it itself. */
  readonly log?: ((line: string) => void) | undefined
  /** What it still misses, and for how long. */
  readonly waiting?: ((id: string, what: string, ms: number) => void) | undefined
  readonly waited?: ((id: string) => void) | undefined
  /** Ends the waiting; a service that was started for it is ended, one that ran before goes on. */
  readonly signal?: AbortSignal | undefined
}

export interface DeployTarget {
  /**
   * Brings one service to the wanted configuration and waits until it is ready. Idempotent: a running one with the same
   * configuration is adopted, another configuration restarts it.
   * @throws AppError deploy-failed with the last log lines, pin-rejected when it latched; the signal's reason
   */
  readonly deploy: (plan: ServicePlan, report: (phase: string) => void, watch?: DeployWatch) => Promise<ServiceStatus>
  /**
   * It will be deployed or restarted soon: its program may load its code meanwhile, and does nothing else. Not waited for, never
   * throws; forgotten when nothing comes of it.
   */
  readonly prepare: (name: ServiceName) => void
  readonly status: () => Promise<readonly ServiceStatus[]>
  /** Those that were looked at, started or ended since this target is there, without asking them. */
  readonly lastSeen: () => readonly SeenService[]
  /**
   * Takes up supervision of what an earlier wizard left running, at once, and starts what should run and does not.
   * @param after what has to be over before anything is started; never rejects
   */
  readonly resume: (after?: Promise<unknown>) => Promise<void>
  /**
   * Ends one service and starts it with the configuration that it has, and waits until it is ready. A latch is lifted:
   * only a person asks for this, or an apply that a person began. A service that was wanted stays wanted, whatever comes of it.
   * @throws AppError out-of-order when it was never deployed, deploy-failed with the last log lines, pin-rejected when it
   * latched; the signal's reason: it goes on starting then
   */
  readonly restart: (name: ServiceName, report?: (phase: string) => void, watch?: DeployWatch) => Promise<ServiceStatus>
  /** Stops one service for good and removes what it was deployed with: configuration, log, record. False: it never was. */
  readonly remove: (name: ServiceName) => Promise<boolean>
  /** Stops all, each within 10 s, for good: a deployment under way fails, and this target starts nothing any more. */
  readonly stop: () => Promise<void>
}
