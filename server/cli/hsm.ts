import type { Command } from 'commander'
import { registerCheck } from './hsm/check.ts'
import { registerImport } from './hsm/import.ts'
import { registerInitPartition } from './hsm/init-partition.ts'
import { registerList } from './hsm/list.ts'
import { registerSetPin } from './hsm/set-pin.ts'
import { registerShow } from './hsm/show.ts'

export function registerHsm(program: Command, defaultState: string): void {
  const hsm = program.command('hsm').description('HSM clients and partitions: set up, look, check.')
  registerImport(hsm, defaultState)
  registerList(hsm, defaultState)
  registerShow(hsm, defaultState)
  registerCheck(hsm, defaultState)
  registerSetPin(hsm, defaultState)
  registerInitPartition(hsm, defaultState)
}
