/** Why a login was not sent. */
export type RefusalReason =
  | 'pin-shape' // length or characters: never sent
  | 'token-not-found'
  | 'slot-differs' // label and typed slot do not belong together
  | 'label-differs' // the serial's token has another label
  | 'not-initialized'
  | 'user-pin-not-initialized'
  | 'locked'
  | 'final-try'
  | 'same-pin-rejected-before'
  | 'interrupted-before' // sent before, and the answer never came
  | 'too-many' // failures known here since the last login that worked
  | 'too-soon' // a store that never locks is slowed down
  | 'busy' // another login at this token is still going on

export interface LoginRefusal {
  readonly reason: RefusalReason
  readonly say: string
  readonly cure: string
  /** Failed logins known here since the last one that worked. */
  readonly failures: number
  readonly retryAfterMs?: number
}
