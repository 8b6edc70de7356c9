/** How long a service that ended by itself is left alone: twice as long each time, until it has stayed up for a while. */
export interface BackOff {
  /** @param startedAt of the start that has come to its end, ISO 8601 @returns until the next */
  readonly afterCrash: (startedAt: string) => number
  readonly forget: () => void
}

const firstMs = 200
const lastMs = 10_000
/** Up for this long, and the next crash is a first one again. */
const settledMs = 10_000

export function openBackOff(): BackOff {
  let crashes = 0
  return {
    afterCrash: (startedAt) => {
      crashes = Date.now() - Date.parse(startedAt) > settledMs ? 1 : crashes + 1
      return Math.min(lastMs, firstMs * 2 ** (crashes - 1))
    },
    forget: () => {
      crashes = 0
    }
  }
}
