/** One at a time per key, in the order of asking: two probes of one token in one process wait for each other. */
const last = new Map<string, Promise<unknown>>()

/**
 * Runs `work` when all earlier work of the same key is done. An aborted wait gives its turn up.
 * @throws the reason of `signal` when it is aborted before the turn comes
 */
export async function takeTurn<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const before = last.get(key) ?? Promise.resolve()
  const turn = before.then(() => {
    signal?.throwIfAborted()
    return work()
  })
  const settled = turn.then(
    () => undefined,
    () => undefined
  )
  last.set(key, settled)
  void settled.then(() => {
    if (last.get(key) === settled) last.delete(key)
  })
  return await turn
}
