/** A string, a number, or a time in milliseconds since the epoch. */
export type Value = string | number;

/** Facts of a call by name. */
export type Facts = Readonly<Record<string, readonly Value[] | undefined>>;

/** A condition on one variable. */
export type Condition = { readonly variable: string } & (
  | { readonly kind: "compare"; readonly operator: "<" | "<=" | ">" | ">=" | "=="; readonly value: Value }
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "member"; readonly values: ReadonlySet<string> }
);

/** Holds when all its parts do. */
export interface Alternative {
  /** Facts that must be there, by name. */
  readonly constants: readonly (readonly [name: string, value: Value])[];
  /** Variables and the facts that they stand for. */
  readonly bindings: readonly (readonly [variable: string, name: string])[];
  readonly conditions: readonly Condition[];
}

/** A check of a token's block. Holds when one of its alternatives does. */
export interface Check {
  /** As Datalog. */
  readonly source: string;
  readonly alternatives: readonly Alternative[];
}

/** A block that is not taken. */
export class BadBlock extends Error {
  override readonly name = "BadBlock";
}

/** Returns the first check that does not hold. A fact that a call does not have fails a check. */
export function failingCheck(checks: readonly Check[], facts: Facts): Check | undefined {
  return checks.find(({ alternatives }) => !alternatives.some((each) => holds(each, facts)));
}

/** Returns a check without conditions on facts of these names: for calls without such objects. */
export function without({ source, alternatives }: Check, names: ReadonlySet<string>): Check {
  const kept = alternatives.map(({ constants, bindings, conditions }) => {
    const others = bindings.filter(([, name]) => !names.has(name));
    const bound = new Set(others.map(([variable]) => variable));
    return {
      constants: constants.filter(([name]) => !names.has(name)),
      bindings: others,
      conditions: conditions.filter(({ variable }) => bound.has(variable)),
    };
  });
  return { source, alternatives: kept };
}

/** Returns the time from which a check fails, whatever the call; undefined for other checks. */
export function expiryOf(check: Check): number | undefined {
  const [only, ...others] = check.alternatives;
  if (!only || others.length > 0 || only.constants.length > 0 || only.bindings.length !== 1) return undefined;
  const [condition, ...more] = only.conditions;
  if (only.bindings[0]?.[1] !== "time" || condition?.kind !== "compare" || more.length > 0) return undefined;
  const { operator, value } = condition;
  if (typeof value !== "number") return undefined;
  if (operator === "<") return value;
  return operator === "<=" ? value + 1 : undefined;
}

function holds({ constants, bindings, conditions }: Alternative, facts: Facts): boolean {
  if (!constants.every(([name, value]) => valuesOf(facts, name).includes(value))) return false;
  // Each condition is about one variable, so variables can be looked at one by one.
  return bindings.every(([variable]) => {
    const names = bindings.filter(([other]) => other === variable).map(([, name]) => name);
    const [first = "", ...rest] = names;
    const about = conditions.filter((condition) => condition.variable === variable);
    return valuesOf(facts, first).some(
      (value) =>
        rest.every((name) => valuesOf(facts, name).includes(value)) &&
        about.every((condition) => satisfies(condition, value)),
    );
  });
}

function valuesOf(facts: Facts, name: string): readonly Value[] {
  return (Object.hasOwn(facts, name) ? facts[name] : undefined) ?? [];
}

function satisfies(condition: Condition, value: Value): boolean {
  if (condition.kind === "member") return typeof value === "string" && condition.values.has(value);
  if (condition.kind === "prefix") return typeof value === "string" && value.startsWith(condition.prefix);
  const { operator, value: limit } = condition;
  if (operator === "==") return value === limit;
  if (typeof value !== "number" || typeof limit !== "number") return false;
  if (operator === "<") return value < limit;
  if (operator === "<=") return value <= limit;
  return operator === ">" ? value > limit : value >= limit;
}
