import { Fault } from "../../lib/faults/fault.ts";
import { IMAGE_FAULT_CODES } from "../../lib/oci/faults.ts";

type LayerReason = Extract<keyof typeof IMAGE_FAULT_CODES, `LAYER_${string}` | "IMAGE_DIGEST_MISMATCH">;

/**
 * Makes the fault for a layer with wrong content. `Layer.about` adds which layer it is.
 *
 * @param problem continues "image X, layer N: "
 */
export function layerFault(
  reason: LayerReason,
  problem: string,
  facts: Readonly<Record<string, string>> = {},
  cause?: unknown,
): Fault {
  return new Fault(IMAGE_FAULT_CODES[reason], reason, problem, facts, cause === undefined ? {} : { cause });
}

/** Adds the index of a layer to a fault; returns other errors as they are. */
export function atLayer(err: unknown, index: number): unknown {
  if (!(err instanceof Fault)) return err;
  return new Fault(
    err.code,
    err.reason,
    err.message,
    { ...err.facts, layer_index: String(index) },
    { cause: err.cause },
  );
}

/** Quotes a path of an archive, which may have any bytes, for a message. */
export function shownPath(path: string): string {
  const text = Buffer.from(path, "latin1").toString("utf8");
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
