/**
 * Orders a step's fields for the page: fields that are asked for under the same condition stand together in a fieldset,
 * folded ones under their heading. Each condition gets a number, so that plain CSS can hide what belongs to a choice
 * that is not made (`data-shows` on the option, `data-when` on what it shows), with scripts or without.
 */
import type { FieldModel } from './view-model.ts'

interface SectionField extends Omit<FieldModel, 'options'> {
  readonly options?: readonly { readonly value: string; readonly label: string; readonly shows: string }[]
  /** Numbers of the conditions that this checkbox meets when ticked, separated by spaces. */
  readonly shows: string
  /** Number of its own condition, inside a section that has none. */
  readonly when?: number
}

export interface Section {
  /** Stands folded under this heading; open when a field in it has an error. */
  readonly folded?: { readonly title: string; readonly open: boolean }
  /** Absent: always asked for. */
  readonly when?: { readonly number: number; readonly legend: string; readonly hint: string }
  readonly fields: readonly SectionField[]
}

type Condition = NonNullable<FieldModel['onlyWhen']>

/** @param fields in the step's own order; sections come in the order of their first field. */
export function sectionsOf(fields: readonly FieldModel[]): Section[] {
  const groups = new Map<string, FieldModel[]>()
  let previous = ''
  let run = 0
  for (const field of fields) {
    const kind = field.folded === undefined ? `when ${conditionKey(field)}` : `folded ${field.folded}`
    if (kind !== previous) run += 1
    previous = kind
    // Fields that are always asked for stay where the step has them; the others gather at the first of their kind.
    const key = kind === 'when ' ? `always ${run}` : kind
    groups.set(key, [...(groups.get(key) ?? []), field])
  }
  return [...groups.values()].map((group) => sectionOf(group, fields, conditionsOf(fields)))
}

function sectionOf(
  group: readonly FieldModel[],
  all: readonly FieldModel[],
  conditions: readonly Condition[]
): Section {
  const title = group[0]?.folded
  const shared = new Set(group.map(conditionKey)).size === 1 ? group[0]?.onlyWhen : undefined
  return {
    ...(title === undefined ? {} : { folded: { title, open: group.some(({ error }) => error !== undefined) } }),
    ...(shared === undefined ? {} : { when: whenOf(shared, all, conditions) }),
    fields: group.map((field) => sectionField(field, conditions, shared === undefined))
  }
}

function whenOf(condition: Condition, all: readonly FieldModel[], conditions: readonly Condition[]) {
  const asker = all.find(({ name }) => name === condition.field)
  const label = asker?.label ?? condition.field
  const number = numberOf(condition, conditions)
  if (asker?.control === 'checkbox') return { number, legend: label, hint: `Needed only with "${label}" ticked.` }
  const chosen = condition.is.map((value) => asker?.options?.find((option) => option.value === value)?.label ?? value)
  const legend = chosen.join(' or ')
  return { number, legend, hint: `Needed only when "${label}" is ${legend}.` }
}

function sectionField(field: FieldModel, conditions: readonly Condition[], ownCondition: boolean): SectionField {
  const { options, ...rest } = field
  const met = (value?: string) =>
    conditions
      .filter(({ field: asker, is }) => asker === field.name && (value === undefined || is.includes(value)))
      .map((condition) => numberOf(condition, conditions))
      .join(' ')
  return {
    ...rest,
    shows: field.control === 'checkbox' ? met() : '',
    ...(ownCondition && field.onlyWhen ? { when: numberOf(field.onlyWhen, conditions) } : {}),
    ...(options === undefined ? {} : { options: options.map((option) => ({ ...option, shows: met(option.value) })) })
  }
}

function conditionsOf(fields: readonly FieldModel[]): Condition[] {
  return [
    ...new Map(fields.flatMap((field) => (field.onlyWhen ? [[conditionKey(field), field.onlyWhen]] : []))).values()
  ]
}

function numberOf(condition: Condition, conditions: readonly Condition[]): number {
  return conditions.findIndex((other) => other.field === condition.field && `${other.is}` === `${condition.is}`) + 1
}

function conditionKey({ onlyWhen }: FieldModel): string {
  return onlyWhen === undefined ? '' : `${onlyWhen.field}=${onlyWhen.is}`
}
