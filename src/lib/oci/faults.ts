import { Fault, type FaultExtra } from "../faults/fault.ts";

/** The image, and perhaps the layer, that a fault is about. */
export interface Subject {
  readonly reference: string;
  readonly digest?: string;
  readonly layer?: string;
  /** From 0, lowest first. */
  readonly layerIndex?: number;
}

/** gRPC codes of the reasons for which an image is refused. */
export const IMAGE_FAULT_CODES = {
  IMAGE_NOT_FOUND: "NOT_FOUND",
  REGISTRY_UNAVAILABLE: "UNAVAILABLE",
  REGISTRY_UNAUTHORIZED: "PERMISSION_DENIED",
  REGISTRY_RATE_LIMITED: "RESOURCE_EXHAUSTED",
  REGISTRY_TOO_SLOW: "UNAVAILABLE",
  NOT_AN_IMAGE: "FAILED_PRECONDITION",
  IMAGE_CONFIG_INVALID: "FAILED_PRECONDITION",
  PLATFORM_NOT_AVAILABLE: "FAILED_PRECONDITION",
  IMAGE_DIGEST_MISMATCH: "DATA_LOSS",
  LAYER_TRUNCATED: "DATA_LOSS",
  LAYER_TOO_LARGE: "FAILED_PRECONDITION",
  LAYER_PATH_ESCAPES: "FAILED_PRECONDITION",
  LAYER_TYPE_UNKNOWN: "FAILED_PRECONDITION",
  LAYER_CORRUPT: "FAILED_PRECONDITION",
  IMAGE_TOO_LARGE: "FAILED_PRECONDITION",
  IMAGE_BUILD_FAILED: "FAILED_PRECONDITION",
} as const;

export type ImageReason = keyof typeof IMAGE_FAULT_CODES;

/**
 * Makes the fault for an image that is refused. Message and facts name the image and the layer.
 *
 * @param problem continues "image X: "
 */
export function imageFault(
  reason: ImageReason,
  subject: Subject,
  problem: string,
  facts: Readonly<Record<string, string>> = {},
  extra: FaultExtra = {},
): Fault {
  return new Fault(
    IMAGE_FAULT_CODES[reason],
    reason,
    `${nameOf(subject)}: ${problem}`,
    { ...subjectFacts(subject), ...facts },
    extra,
  );
}

/** Adds image and layer to a fault that has none; returns other errors as they are. */
export function about(err: unknown, subject: Subject): unknown {
  if (!(err instanceof Fault) || err.facts["reference"] !== undefined) return err;
  const { cause, violations, retryAfterMs } = err;
  const extra = { cause, violations, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  const facts = { ...subjectFacts(subject), ...err.facts };
  return new Fault(err.code, err.reason, `${nameOf(subject)}: ${err.message}`, facts, extra);
}

function nameOf(subject: Subject): string {
  const layer = subject.layer === undefined ? "" : `, layer ${subject.layerIndex ?? "?"} (${subject.layer})`;
  return `image ${subject.reference}${layer}`;
}

function subjectFacts(subject: Subject): Record<string, string> {
  return {
    reference: subject.reference,
    ...(subject.digest === undefined ? {} : { digest: subject.digest }),
    ...(subject.layer === undefined ? {} : { layer: subject.layer }),
    ...(subject.layerIndex === undefined ? {} : { layer_index: String(subject.layerIndex) }),
  };
}
