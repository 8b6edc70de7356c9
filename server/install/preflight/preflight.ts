/** Everything that can be looked at before anybody has answered anything. Logs in nowhere and changes nothing. */
import { type CheckWatcher, type Finding, runChecks } from '../../checks/check.ts'
import { hostLadder } from './host-ladder.ts'
import { hsmLadder } from './hsm-ladder.ts'
import { portLadder } from './ports.ts'
import { hostNameCheck, javaCheck, nodeCheck } from './programs.ts'
import { stateFolderCheck } from './state-folder.ts'

const checks = [hostLadder, nodeCheck, javaCheck, portLadder, hsmLadder, hostNameCheck, stateFolderCheck]

/** @param stateDir of the install to be, absolute. Takes as long as `vtl verify`: up to 30 s. */
export function runPreflight(stateDir: string, watch: CheckWatcher = {}): Promise<Finding[]> {
  return runChecks(checks, stateDir, { stateDir, install: '', earlier: {}, progress: () => {}, services: {} }, watch)
}
