/**
 * What a page is given. server/web fills these and nothing else reaches a template, so a page shows what stands here and
 * no more: no secret has a place in it except `showOnce`. Templates (views/) know no request, no database and no step code.
 */
import type { TestedRow } from '../../lib/luna-client/tested-matrix.ts'
import type { Finding, Verdict } from '../checks/check.ts'
import type { Remark } from '../checks/hsm-client.ts'
import type { JobDocument, JobPhase, JobState } from '../install/jobs/job.ts'
import type { Plan } from '../install/plan.ts'
import type { VerifiedRecord } from '../install/record-signature.ts'
import type { InstallResult } from '../steps/complete/result.ts'
import type { FoundPartition } from '../steps/kms/partitions.ts'
import type { Pasted } from '../steps/kms/pasted.ts'
import type { Prerequisite } from '../steps/kms/prerequisites.ts'
import type { FieldView, StepId } from '../steps/step.ts'
import type { Section } from './field-sections.ts'

/** In the footer of every page: Powered by (name, version, build). */
export interface Product {
  readonly name: string
  readonly version: string
  readonly build: string
  readonly copyright: string
  readonly vendor: { readonly text: string; readonly href: string }
}

/** Every page outside the steps takes at least this (the help pages take no more). */
export interface Page {
  readonly product: Product
}

/** `attention` = was done, and an earlier answer has changed since. */
export interface StepLink {
  readonly id: StepId
  readonly number: number
  readonly title: string
  readonly state: 'done' | 'current' | 'later' | 'attention'
  /** A job works at it. */
  readonly underWay?: true
  /** Present where the administrator may go back to it. */
  readonly href?: string
}

/** A field of a step as it stands now. A secret's `value` is always empty; a checkbox's is 'on' or ''. */
export interface FieldModel extends Omit<FieldView, 'initial' | 'prefillFrom'> {
  readonly name: string
  readonly value: string
  /** A secret is kept from before: "Saved. Leave empty to keep it." */
  readonly saved?: boolean
  readonly error?: string
}

interface Note {
  readonly kind: 'note' | 'warning'
  readonly text: string
  readonly link?: { readonly href: string; readonly text: string }
}

/** views/steps/<id>.eta. */
export interface SetupPage extends Page {
  readonly steps: readonly StepLink[]
  readonly step: {
    readonly id: StepId
    readonly number: number
    readonly title: string
    readonly heading: string
    readonly intro: string
    /** Where "Back" goes; absent on the first step. */
    readonly back?: string
  }
  /** sectionsOf(fields). */
  readonly sections: readonly Section[]
  /** The summary "There is a problem"; same words as beside the field. */
  readonly errors: readonly { readonly field?: string; readonly text: string }[]
  readonly findings: readonly Finding[]
  /** Only warnings stand in the way: the page offers the tick `_continue` = yes. */
  readonly canContinueAnyway: boolean
  /** The tick as it came in. */
  readonly continueAnyway?: boolean
  /** "What Next will do", a line an effect. */
  readonly plan: readonly string[]
  readonly notes: readonly Note[]
  /** One line at the top: "Setup resumes here.", "Another tab has changed this step." */
  readonly notice?: string
  readonly showOnce: readonly { readonly label: string; readonly value: string; readonly secret?: boolean }[]
  /** The job of this step that did not end well: where it stopped, what stands, Retry. */
  readonly job?: JobModel
  /** Work that somebody else asked for and that is under way: Next would be refused. */
  readonly underWay?: { readonly title: string; readonly since: string; readonly by: string; readonly href: string }
  readonly csrf: string
  readonly revision: number
  readonly welcome?: WelcomePanel
  readonly kms?: KmsPanel
  readonly kafkaIsMock?: boolean
  readonly complete?: CompleteModel
}

/** views/components/job.eta: one piece of work, under way or ended. */
export interface JobModel {
  /** "Next of KMS Deployment" */
  readonly title: string
  /** Path of the job; /events, /cancel and /retry lie under it. */
  readonly self: string
  readonly csrf: string
  readonly state: JobState
  /** "asked for by the browser" */
  readonly by: string
  /** ISO 8601, and as a clock shows it. */
  readonly startedAt: string
  readonly since: string
  readonly elapsedMs: number
  readonly waiting?: { readonly what: string; readonly ms: number }
  readonly phases: readonly JobPhase[]
  /** Of an apply. */
  readonly steps: readonly {
    readonly id: StepId
    readonly title: string
    /** Of a job that ended: what was left is not to come, and what was cancelled has not failed. */
    readonly state: JobDocument['steps'][number]['state'] | 'not-begun' | 'cancelled'
  }[]
  /** A line an effect. */
  readonly stands: readonly string[]
  /** So many more than are listed. */
  readonly standsMore: number
  readonly problem?: { readonly detail: string; readonly cure?: string }
  /** Title of the phase that failed or was cancelled. */
  readonly stoppedAt?: string
  readonly cancellable: boolean
  readonly retryable: boolean
  /** The command that collects what somebody who helps needs to see; of a job that failed. */
  readonly supportBundle?: string
}

/** views/job.eta: a job that is under way, or ended and belongs to no step's page. */
export interface JobPage extends Page {
  readonly steps: readonly StepLink[]
  /** Absent for a job of several steps. */
  readonly step?: SetupPage['step']
  readonly job: JobModel
  readonly findings: readonly Finding[]
}

/** "This server": the guide's minimum against what was found, as information. */
export interface WelcomePanel {
  readonly host: readonly {
    readonly what: string
    readonly minimum: string
    readonly found: string
    readonly verdict: Verdict
  }[]
  /** Where to go on when setup was begun before. */
  readonly resume?: { readonly href: string; readonly title: string; readonly number: number }
}

export interface KmsPanel {
  /** The guide's eight prerequisites. */
  readonly beforeYouBegin: readonly Prerequisite[]
  /** Table 1 of the guide, "tested / yours". */
  readonly tested: readonly TestedRow[]
  /** About the HSM client whose partitions are listed. */
  readonly remarks: readonly Remark[]
  readonly clients: readonly ClientChoice[]
  readonly partitions: readonly FoundPartition[]
  /** Why none are listed, in plain words ("The library … could not be loaded."). */
  readonly partitionsProblem?: string
  /** Absent where the token is not known yet. */
  readonly failedLogins?: { readonly label: string; readonly known: number; readonly atMost: number }
  /** What was read from lunacm's or vtl's output. */
  readonly pasted?: Pasted
  /** What the last Test or Next has seen of the key store. */
  readonly evidence?: EvidenceModel
}

/** Of server/checks/key-store/evidence.ts, for people. */
export interface EvidenceModel {
  readonly facts: readonly { readonly label: string; readonly value: string }[]
  /** The mechanisms that KeyScaler may use. */
  readonly used: readonly {
    readonly name: string
    readonly number: string
    readonly sizes: string
    readonly for: string
  }[]
  /** Names of the others that the token offers. */
  readonly others: readonly string[]
}

/** An HSM client of this machine. */
export interface ClientChoice {
  readonly title: string
  readonly module: string
  /** Folder of its Chrystoki.conf; '' when there is none. */
  readonly confPath: string
  /** Its partitions are listed. */
  readonly inUse: boolean
}

/** The result, as the last step tells it; for NSS the page says "not HSM-protected". */
export interface CompleteModel extends InstallResult {
  /** Paths of what is to be taken along (keepsake-routes.ts); the record once setup is finished. */
  readonly keepsakes: { readonly answers: string; readonly record?: string }
}

/** views/api.eta: the description of the API for people. */
export interface ApiPage extends Page {
  readonly groups: readonly {
    readonly title: string
    readonly operations: readonly {
      readonly id: string
      readonly method: string
      readonly path: string
      readonly summary: string
      readonly scope: string
      /** JSON Schema, as text. */
      readonly body?: string
      readonly answers: readonly string[]
    }[]
  }[]
  readonly schemas: readonly { readonly name: string; readonly json: string }[]
}

/** views/plan.eta. */
export interface PlanPage extends Page {
  readonly plan: Plan
  readonly steps: readonly { readonly id: StepId; readonly title: string }[]
}

/** views/code.eta: the one-time setup code, also after `keyscaler unlock`. */
export interface CodePage extends Page {
  readonly csrf: string
  /** Path of the 0600 file that holds the code. */
  readonly codeFile: string
  readonly error?: string
}

/** views/finished.eta: the setup routes are gone. `complete` only for the session that finished it. */
export interface FinishedPage extends Page {
  /** The KMS stays down until somebody enters the key store's present password. */
  readonly sealed?: boolean
  readonly controlPanel?: string
  readonly complete?: CompleteModel
}

/** views/record.eta: the signed install record, to be printed. */
export interface RecordPage extends Page, VerifiedRecord {}

/** views/key-store-password.eta: the code first (`codeFile`), then the password (`csrf`), then how it ended. */
export interface PasswordPage extends Page {
  /** Path of the 0600 file that holds the code; present while the code is asked for. */
  readonly codeFile?: string
  readonly csrf?: string
  readonly keyStore?: { readonly label: string; readonly serial: string; readonly slot: number; readonly hsm: boolean }
  readonly failedLogins?: { readonly known: number; readonly atMost: number }
  readonly kms?: { readonly state: string; readonly detail: string }
  readonly findings?: readonly Finding[]
  readonly error?: string
  readonly cure?: string
  /** The password was right and is kept; `error` is about the KMS. */
  readonly kept?: boolean
  /** It was accepted, and the KMS runs with it. */
  readonly done?: boolean
}

/** views/error.eta. */
export interface ErrorPage extends Page {
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly cure?: string
  readonly requestId: string
  readonly back?: { readonly href: string; readonly text: string }
}
