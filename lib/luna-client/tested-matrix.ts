/** Table 1 of the administrator's guide: what KeyScaler was tested with, beside what is here. Information, never a refusal. */

export interface TestedRow {
  readonly what: string
  readonly tested: string
  /** "not visible from here" where a program cannot see it. */
  readonly yours: string
}

export interface YoursSeen {
  /** PRETTY_NAME of os-release. */
  readonly system: string | null
  /** Version of the client's library as it says itself (two numbers). */
  readonly client: string | null
  /** Model and firmware of the partition. */
  readonly model: string | null
  readonly firmware: string | null
}

const unseen = 'not visible from here'

export function testedAndYours({ system, client, model, firmware }: YoursSeen): readonly TestedRow[] {
  // An appliance's partitions carry its software version in their model: "LunaSA 7.0.0".
  const appliance = model === null ? unseen : /^Luna/i.test(model) ? model : `none (${model})`
  return [
    { what: 'Operating system', tested: 'CentOS 7.6, RHEL 7.6', yours: system ?? unseen },
    { what: 'Luna client', tested: '7.0', yours: client ?? unseen },
    { what: 'Luna appliance', tested: '7.0.0-956', yours: appliance },
    { what: 'HSM firmware', tested: '7.0.1', yours: firmware ?? unseen }
  ]
}
