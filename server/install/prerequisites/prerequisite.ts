/** One item of the guide's installer script: is it there, what brings it, and bringing it. */
import type { Commands } from './commands.ts'
import type { PackageNames } from './package-names.ts'

export interface PrerequisiteGround {
  readonly commands: Commands
  /** null: a system whose package names are not known here. */
  readonly names: PackageNames | null
  /** Looking at firewalls and databases, and changing anything, takes root. */
  readonly isRoot: boolean
  /** systemd is running here: units can be started. */
  readonly hasUnits: boolean
  readonly clockSynchronised: boolean | null
  readonly stateDir: string
  /** TCP ports that others must reach. */
  readonly ports: readonly number[]
  /** Writes a file that only the owner of the state folder may read. */
  readonly keep: (path: string, content: string) => Promise<void>
}

export interface Look {
  /** `unknown`: cannot be seen from here; nothing is done about it. */
  readonly state: 'there' | 'missing' | 'unknown'
  readonly say: string
  /** What brings it, as an administrator would type it; no secret is in it. */
  readonly commands: readonly string[]
  /** Does that. Only with `missing`. @throws AppError deploy-failed with what the command said */
  readonly bring?: () => Promise<void>
}

export interface Prerequisite {
  readonly id: string
  readonly title: string
  readonly look: (ground: PrerequisiteGround) => Promise<Look>
}
