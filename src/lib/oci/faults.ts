import { Fault, type FaultExtra } from "../runtime/fault.ts";

/** What an image fault is about. `reference` is always known; the rest as far as the pull had come. */
export interface Subject {
  /** The reference in full. */
  readonly reference: string;
  /** Digest of the manifest. */
  readonly digest?: string;
  /** Digest of the layer. */
  readonly layer?: string;
  /** Which layer, from 0, lowest first. */
  readonly layerIndex?: number;
}

const CODES = {
  IMAGE_NOT_FOUND: "NOT_FOUND",
  REGISTRY_UNAVAILABLE: "UNAVAILABLE",
  REGISTRY_UNAUTHORIZED: "PERMISSION_DENIED",
  NOT_AN_IMAGE: "FAILED_PRECONDITION",
  PLATFORM_NOT_AVAILABLE: "FAILED_PRECONDITION",
  IMAGE_DIGEST_MISMATCH: "DATA_LOSS",
  LAYER_TRUNCATED: "DATA_LOSS",
  LAYER_TOO_LARGE: "FAILED_PRECONDITION",
  LAYER_PATH_ESCAPES: "FAILED_PRECONDITION",
  LAYER_TYPE_UNKNOWN: "FAILED_PRECONDITION",
  LAYER_CORRUPT: "FAILED_PRECONDITION",
  IMAGE_TOO_LARGE: "FAILED_PRECONDITION",
} as const;

/** The reasons an image can be refused for. */
export type ImageReason = keyof typeof CODES;

/**
 * The fault for an image that cannot be had. The message begins with the image (and the layer) it is about, and the
 * facts carry both.
 *
 * @param problem what is wrong and what to do about it, continuing "image X: "
 */
export function imageFault(
  reason: ImageReason,
  subject: Subject,
  problem: string,
  facts: Readonly<Record<string, string>> = {},
  extra: FaultExtra = {},
): Fault {
  return new Fault(
    CODES[reason],
    reason,
    `${nameOf(subject)}: ${problem}`,
    { ...subjectFacts(subject), ...facts },
    extra,
  );
}

/** Adds to a fault which image and layer it is about, when it does not say so itself; returns anything else as it is. */
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
