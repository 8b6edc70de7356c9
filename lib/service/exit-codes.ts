/** Exit codes of a service that mean something to its supervisor. */
export const exitCodes = {
  /** Configuration refused: not restarted. */
  badConfig: 2,
  /** The token rejected the PIN, or the guard refused to send it: latched, never restarted. */
  pinRejected: 78
} as const
