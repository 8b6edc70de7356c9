/** What change-pin.ts and its child say to each other. */
import type { CallFailure } from './ckr-error.ts'
import type { ModuleStart } from './profiles/profile.ts'
import type { TokenChoice } from './token-facts.ts'

export type ChangeStep = 'load' | 'initialize' | 'slots' | 'session' | 'login' | 'change' | 'finalize'

export type ToChangeChild =
  | { readonly kind: 'request'; readonly start: ModuleStart }
  | { readonly kind: 'login'; readonly from: string }
  | { readonly kind: 'change'; readonly from: string; readonly to: string }

export type FromChangeChild =
  | { readonly kind: 'step'; readonly step: ChangeStep }
  | { readonly kind: 'may-i-log-in'; readonly choice: TokenChoice }
  | { readonly kind: 'login-answered'; readonly failure: CallFailure | null }
  | { readonly kind: 'changed'; readonly failure: CallFailure | null }
  /** A call that has nothing to do with the password was refused. */
  | { readonly kind: 'refused'; readonly failure: CallFailure }
