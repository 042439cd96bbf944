import type { Random } from "../world/random.ts";

/**
 * What a machine runs, told by its environment. `serve`: until it is stopped. `stubborn`: until it is killed. `broken`: cannot be
 * started. `exit`: ends by itself within a time, with one of some codes.
 */
export type Program =
  | { readonly kind: "serve" | "stubborn" | "broken" }
  | { readonly kind: "exit"; readonly withinMs: number; readonly codes: readonly number[] };

/** How a program ends by itself. */
export interface Ending {
  readonly afterMs: number;
  readonly code: number;
}

const KINDS = ["serve", "serve", "stubborn", "broken", "exit", "exit", "exit"] as const;
const CODES = [[0], [1], [0, 1, 137]] as const;

export function randomProgram(random: Random): Program {
  const kind = random.pick(KINDS);
  if (kind !== "exit") return { kind };
  return { kind, withinMs: random.pick([5, 200, 3_000, 15_000]), codes: random.pick(CODES) };
}

export function environmentOf(program: Program): Record<string, string> {
  return { PROGRAM: JSON.stringify(program) };
}

/** The program of an environment without one serves. */
export function programOf({ PROGRAM: text }: Readonly<Record<string, string>>): Program {
  // Written by `environmentOf`.
  return text === undefined ? { kind: "serve" } : (JSON.parse(text) as Program);
}

/** How a run ends by itself; undefined: not at all. @param mayEnd probability that a program ends that should go on */
export function outcomeOf(program: Program, random: Random, mayEnd: number): Ending | undefined {
  if (program.kind === "exit")
    return { afterMs: random.between(0, program.withinMs), code: random.pick(program.codes) };
  return random.chance(mayEnd)
    ? { afterMs: random.between(1, 60_000), code: random.pick([0, 1]) }
    : undefined;
}
