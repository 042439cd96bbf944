import { invalid } from "../../../lib/faults/fault.ts";
import { MACHINE_STATES, type MachineState } from "../../machines/machine.ts";

/** Splits a parameter that may come several times, or with commas. */
export function wordsOf(value: unknown): readonly string[] {
  const texts = Array.isArray(value) ? value : [value];
  return texts
    .filter((each) => typeof each === "string")
    .flatMap((each) => each.split(","))
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/**
 * Reads the states of a parameter `state`.
 *
 * @param more words that the parameter takes besides states
 * @throws Fault INVALID_FIELDS
 */
export function statesOf(words: readonly string[], ...more: readonly string[]): MachineState[] {
  const unknown = words.find((word) => !isState(word));
  if (unknown === undefined) return words.filter(isState);
  const allowed = [...MACHINE_STATES, ...more].join(", ");
  const description = `must be of ${allowed}, not ${JSON.stringify(unknown.slice(0, 64))}`;
  throw invalid([{ field: "state", description }]);
}

function isState(text: string): text is MachineState {
  return MACHINE_STATES.some((state) => state === text);
}
