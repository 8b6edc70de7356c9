import type { KmsKey } from '../../lib/kms-client/kms-client.ts'

/** A line a key, in columns. */
export function keysText(keys: readonly KmsKey[]): string {
  const rows = keys.map(({ id, purpose, tenant, label, version, state, algorithm, checkValue }) => [
    ...[id, purpose, tenant ?? '-', `v${version}`, state, algorithm, checkValue ?? '-', label]
  ])
  const table = [['ID', 'Purpose', 'Tenant', 'Version', 'State', 'Algorithm', 'Check value', 'Label'], ...rows]
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table
    .map(
      (row) =>
        `${row
          .map((text, at) => text.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`
    )
    .join('')
}
