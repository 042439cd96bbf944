import { Fault } from "../../lib/faults/fault.ts";
import { IMAGE_FAULT_CODES } from "../../lib/oci/faults.ts";

/**
 * Makes the fault for a layer with wrong content. `Layer.about` adds which layer of which image.
 *
 * @param problem continues "image X, layer N: "
 */
export function layerFault(
  reason: "LAYER_TRUNCATED" | "LAYER_TOO_LARGE" | "LAYER_PATH_ESCAPES" | "LAYER_CORRUPT",
  problem: string,
  facts: Readonly<Record<string, string>> = {},
): Fault {
  return new Fault(IMAGE_FAULT_CODES[reason], reason, problem, facts);
}

/** Quotes a path of an archive, which may have any bytes, for a message. */
export function shownPath(path: string): string {
  const text = Buffer.from(path, "latin1").toString("utf8");
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
