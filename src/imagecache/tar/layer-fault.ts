import { type Code, Fault } from "../../lib/runtime/fault.ts";

const CODES = {
  LAYER_TRUNCATED: "DATA_LOSS",
  LAYER_TOO_LARGE: "FAILED_PRECONDITION",
  LAYER_PATH_ESCAPES: "FAILED_PRECONDITION",
  LAYER_CORRUPT: "FAILED_PRECONDITION",
} as const satisfies Record<string, Code>;

/**
 * The fault for a layer whose content is wrong. Which image and which layer it is, is added by who reads the layer.
 *
 * @param problem what is wrong and what to do about it, continuing "image X, layer N: "
 */
export function layerFault(
  reason: keyof typeof CODES,
  problem: string,
  facts: Readonly<Record<string, string>> = {},
): Fault {
  return new Fault(CODES[reason], reason, problem, facts);
}

/** A path as it can be shown: names in archives are bytes, kept as Latin-1 strings, and may hold anything. */
export function shownPath(path: string): string {
  const text = Buffer.from(path, "latin1").toString("utf8");
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
