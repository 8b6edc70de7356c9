/**
 * Orders a step's fields for the page: fields that are asked for under the same condition stand together in a fieldset,
 * and folded ones under their heading at its end. Each condition gets a number, so that plain CSS can hide a section
 * whose condition is not selected (`data-shows` on the option, `data-when` on the section), with scripts or without.
 */
import type { FieldModel } from './view-model.ts'

export interface SectionField extends Omit<FieldModel, 'options'> {
  readonly options?: readonly { readonly value: string; readonly label: string; readonly shows: string }[]
  /** Numbers of the sections that this checkbox shows when ticked, separated by spaces. */
  readonly shows: string
}

export interface Section {
  /** Absent: always asked for. */
  readonly when?: { readonly number: number; readonly legend: string; readonly hint: string }
  readonly fields: readonly SectionField[]
  readonly folded: readonly {
    readonly title: string
    readonly open: boolean
    readonly fields: readonly SectionField[]
  }[]
}

type Condition = NonNullable<FieldModel['onlyWhen']>

/** @param fields in the step's own order; sections come in the order of their first field. */
export function sectionsOf(fields: readonly FieldModel[]): Section[] {
  const conditions = [...new Map(fields.flatMap(({ onlyWhen: c }) => (c ? [[keyOf(c), c] as const] : []))).values()]
  const groups = new Map<string, FieldModel[]>()
  let run = 0
  let previous: string | undefined
  for (const field of fields) {
    const condition = field.onlyWhen ? keyOf(field.onlyWhen) : ''
    if (condition !== previous) run += 1
    previous = condition
    // Unconditional fields stay where the step has them; those of one condition gather at the first of them.
    const key = condition === '' ? `always ${run}` : condition
    groups.set(key, [...(groups.get(key) ?? []), field])
  }
  return [...groups.values()].map((group) => sectionOf(group, fields, conditions))
}

function sectionOf(
  group: readonly FieldModel[],
  all: readonly FieldModel[],
  conditions: readonly Condition[]
): Section {
  const shown = group.map((field) => withShows(field, conditions))
  const titles = [...new Set(shown.flatMap(({ folded }) => (folded === undefined ? [] : [folded])))]
  const folded = titles.map((title) => {
    const fields = shown.filter((field) => field.folded === title)
    return { title, open: fields.some(({ error }) => error !== undefined), fields }
  })
  const fields = shown.filter((field) => field.folded === undefined)
  const condition = group[0]?.onlyWhen
  if (condition === undefined) return { fields, folded }
  return { when: whenOf(condition, all, conditions), fields, folded }
}

function whenOf(condition: Condition, all: readonly FieldModel[], conditions: readonly Condition[]) {
  const asker = all.find(({ name }) => name === condition.field)
  const name = asker?.label ?? condition.field
  const chosen = condition.is.map((value) => asker?.options?.find((option) => option.value === value)?.label ?? value)
  const number = conditions.findIndex((candidate) => keyOf(candidate) === keyOf(condition)) + 1
  if (asker?.control === 'checkbox') return { number, legend: name, hint: `Needed only when "${name}" is ticked.` }
  const legend = chosen.join(' or ')
  return { number, legend, hint: `Needed only when ${name} is ${legend}.` }
}

function withShows(field: FieldModel, conditions: readonly Condition[]): SectionField {
  const { options, ...rest } = field
  const showsFor = (value?: string) =>
    conditions
      .flatMap(({ field: name, is }, index) =>
        name === field.name && (value === undefined || is.includes(value)) ? [String(index + 1)] : []
      )
      .join(' ')
  const shows = field.control === 'checkbox' ? showsFor() : ''
  return options === undefined
    ? { ...rest, shows }
    : { ...rest, shows, options: options.map((option) => ({ ...option, shows: showsFor(option.value) })) }
}

function keyOf(condition: Condition): string {
  return `${condition.field}=${condition.is.join(',')}`
}
