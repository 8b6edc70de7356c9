/** The next version of a key that is followed by name: asked again for the same key, it is the same successor. */
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRing } from './key-ring.ts'
import type { RingKey } from './key-table.ts'

/** Makes it where `current` is in use. @throws AppError internal when there is none although it is not */
export async function successorOf(ring: KeyRing, current: RingKey): Promise<RingKey> {
  if (current.state === 'active') await ring.next(current, async (next) => next)
  const versions = await ring.list()
  const next = versions.find(
    ({ purpose, tenant, version }) =>
      purpose === current.purpose && tenant === current.tenant && version === current.version + 1
  )
  const found = next === undefined ? null : await ring.find(next.id)
  if (found === null) throw new AppError('internal', `The successor of "${current.label}" was not made.`)
  return found
}
