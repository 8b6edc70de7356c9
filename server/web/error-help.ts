/**
 * What /help/errors and /problems/<code> say: the pages that every problem's `type` leads to. Status and title are those of the problem
 * table; docs/errors.md holds the same words, pinned by scripts/errors.test.ts.
 */
import { type ErrorCode, errorCodes } from '../../lib/errors/app-error.ts'
import { type ProblemRow, problemTable } from '../../lib/service/problems.ts'
import type { Page } from './view-model.ts'

export interface ErrorHelp {
  readonly means: string
  /** The first thing to try; a problem's own `cure` goes before it. */
  readonly todo: string
}

type ErrorRow = ErrorHelp & Pick<ProblemRow, 'status' | 'title'> & { readonly code: ErrorCode }

export interface ErrorsPage extends Page {
  readonly errors: readonly ErrorRow[]
}

/** views/help/problem.eta. */
export interface ProblemPage extends Page {
  readonly error: ErrorRow
}

const help: Readonly<Record<ErrorCode, ErrorHelp>> = {
  'invalid-input': {
    means: 'A value is missing, unknown or not in the form that is asked for; the message names the field.',
    todo: 'Correct the fields that the answer names and send it again. Nothing was changed.'
  },
  unauthenticated: {
    means: 'The request came without a valid session, token, password or client certificate.',
    todo: 'Setup: exchange the one-time code; keyscaler code makes a new one. Control Panel: log in. Devices: use a registration that has neither expired nor been used with another key. Services: show a certificate of the internal CA.'
  },
  forbidden: {
    means:
      'The caller is known but may not do this: another role, a form from another site, a secret file that others may read, or a license without a free place.',
    todo: 'Reload the page and send it again, close the file to others (chmod 600), or install a license for more devices.'
  },
  'not-found': {
    means: 'There is nothing of that name.',
    todo: 'Check the spelling; the list of steps, devices or slots shows what there is.'
  },
  conflict: {
    means:
      'Something has changed meanwhile, or is held by somebody else: another window saved the step, another process holds the state folder, a name is taken, a database or a key belongs to another install.',
    todo: 'Look at what stands there now, wait for the other run or stop it, then try again.'
  },
  'out-of-order': {
    means: 'This step needs an earlier one that is not done.',
    todo: 'Go on with the first step that is not done; GET /setup/progress names it.'
  },
  'check-failed': {
    means: 'A live check said no, or gave a warning that nobody has accepted; the findings say which and why.',
    todo: 'Follow the cure of the finding. A warning alone is accepted by the tick "continue anyway".'
  },
  'pin-rejected': {
    means: 'The token rejected the password, or it was not sent because that could have locked the partition.',
    todo: 'Ask the Crypto Officer for the current password; after setup, keyscaler hsm set-pin takes it. Nothing is tried again by itself; wrong ones lock the partition.'
  },
  'key-store-unavailable': {
    means: 'The token, its library or the process that holds it is gone, hangs or has crashed.',
    todo: 'Check network, appliance and client (vtl verify). The KMS opens the key store again by itself.'
  },
  'database-unavailable': {
    means: 'MySQL cannot be reached or does not answer in time.',
    todo: 'Check that the server runs and that this machine reaches it; what was refused may be sent again.'
  },
  'broker-unavailable': {
    means: 'Kafka cannot be reached or does not answer in time.',
    todo: 'Check the brokers. Events wait in the outbox meanwhile, and enrolments go on.'
  },
  'service-unavailable': {
    means: 'One of our services does not answer, or the KMS has no key store at the moment.',
    todo: 'Look at /readyz of that service: it names the part that is missing. Try again after a few seconds.'
  },
  'deadline-exceeded': {
    means: 'The other side accepted and then did not answer in time.',
    todo: 'Check the peer that the message names: it hangs, or a firewall drops its answers.'
  },
  'deploy-failed': {
    means: 'A service did not start or did not become ready; the message ends with the last lines of its log.',
    todo: 'Mend what the log names, then press Next or run it again: it goes on from where it stopped.'
  },
  locked: {
    means: 'Setup is finished, or the state folder holds an install whose boot file is missing.',
    todo: 'On the host, keyscaler unlock opens a finished setup again. Restore a missing boot.json from its backup.'
  },
  internal: {
    means: 'A defect of ours, or a file of the state folder that cannot be read.',
    todo: 'Quote the request id when you ask for help; the log has the details.'
  }
}

export const errorRows: ErrorsPage['errors'] = errorCodes.map((code) => {
  const { status, title } = problemTable[code]
  return { code, status, title, ...help[code] }
})
