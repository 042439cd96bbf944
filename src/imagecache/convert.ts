import {
  type EnsureImageRequest,
  type EnsureImageResponse,
  type Image as ImageMessage,
  type ListImagesRequest,
  type Pin as PinMessage,
  PullPhase,
} from "../gen/windhover/imagecache/v1/imagecache.ts";
import { type Digest, parseDigest } from "../lib/oci/digest.ts";
import { parseReference } from "../lib/oci/reference.ts";
import { Fault } from "../lib/runtime/fault.ts";
import { Violations } from "../lib/runtime/violations.ts";
import type { ImageView, Phase } from "./disk/image.ts";
import { OWNER, type Pin } from "./disk/pins.ts";
import type { EnsureOrder, EnsureStep } from "./images.ts";

const PHASES: Readonly<Record<Phase, PullPhase>> = {
  queued: PullPhase.QUEUED,
  resolving: PullPhase.RESOLVING,
  downloading: PullPhase.DOWNLOADING,
  flattening: PullPhase.FLATTENING,
  squashing: PullPhase.SQUASHING,
};
const DEFAULT_PAGE = 100;
/** An image's description takes up to 256 KiB, a few KiB as a rule, and a message has room for 4 MiB. */
const MAX_PAGE = 200;
const MAX_PINS = 100_000;

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` or `IMAGE_REFERENCE_INVALID` */
export function toOrder(req: EnsureImageRequest): EnsureOrder {
  const violations = new RequestViolations();
  if (req.reference === "")
    violations.add("reference", "is required: where the image comes from, such as nginx:1.27");
  const digest = violations.digest("digest", req.digest);
  const owner = req.owner === "" ? "" : violations.owner("owner", req.owner);
  violations.throwIfAny();
  return { ref: parseReference(req.reference, "reference"), digest, owner };
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` */
export function toDigest(req: { readonly digest: string }): Digest {
  const violations = new RequestViolations();
  const digest = violations.digest("digest", req.digest);
  violations.throwIfAny();
  return digest;
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` */
export function toPin(req: PinMessage): Pin {
  const violations = new RequestViolations();
  const pin = {
    digest: violations.digest("digest", req.digest),
    owner: violations.owner("owner", req.owner),
  };
  violations.throwIfAny();
  return pin;
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` */
export function toPins(pins: readonly PinMessage[]): Pin[] {
  const violations = new RequestViolations();
  if (pins.length > MAX_PINS)
    violations.add("pins", `holds ${pins.length}; at most ${MAX_PINS} are possible`);
  const parsed = pins.slice(0, MAX_PINS).map((pin, index) => ({
    digest: violations.digest(`pins[${index}].digest`, pin.digest),
    owner: violations.owner(`pins[${index}].owner`, pin.owner),
  }));
  violations.throwIfAny();
  return parsed;
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` or `PAGE_TOKEN_INVALID` */
export function toPage(req: ListImagesRequest): { after: string; limit: number } {
  const violations = new RequestViolations();
  if (req.pageSize < 0) violations.add("page_size", "must not be negative");
  violations.throwIfAny();
  if (req.pageToken !== "" && parseDigest(req.pageToken) === undefined) {
    const message =
      "the page token did not come from an earlier answer; leave it empty to begin at the first page";
    throw new Fault(
      "INVALID_ARGUMENT",
      "PAGE_TOKEN_INVALID",
      message,
      {},
      {
        violations: [{ field: "page_token", description: "did not come from an earlier answer" }],
      },
    );
  }
  return { after: req.pageToken, limit: Math.min(req.pageSize || DEFAULT_PAGE, MAX_PAGE) };
}

export function fromStep(step: EnsureStep): EnsureImageResponse {
  if (step.kind === "ready") {
    const downloadedBytes = BigInt(step.downloadedBytes);
    const value = { image: fromImage(step.image), wasCached: step.wasCached, downloadedBytes };
    return { event: { $case: "ready", value } };
  }
  const { phase, bytesDone, bytesTotal, layersDone, layersTotal } = step.progress;
  const bytes = { bytesDone: BigInt(bytesDone), bytesTotal: BigInt(bytesTotal) };
  return { event: { $case: "progress", value: { phase: PHASES[phase], ...bytes, layersDone, layersTotal } } };
}

export function fromImage(image: ImageView): ImageMessage {
  const { config, sizes } = image;
  return {
    digest: image.digest,
    rootfsPath: image.rootfsPath,
    config: {
      ...config,
      entrypoint: [...config.entrypoint],
      cmd: [...config.cmd],
      env: [...config.env],
      exposedPorts: [...config.exposedPorts],
      labels: { ...config.labels },
    },
    sizes: {
      compressedBytes: BigInt(sizes.compressedBytes),
      uncompressedBytes: BigInt(sizes.uncompressedBytes),
      rootfsBytes: BigInt(sizes.rootfsBytes),
      entries: BigInt(sizes.entries),
      layers: sizes.layers,
    },
    createTime: new Date(image.createdMs),
    lastUseTime: new Date(image.lastUseMs),
    owners: [...image.owners],
    reference: image.reference,
  };
}

/** Adds the checks of what several requests have in common. */
class RequestViolations extends Violations {
  digest(field: string, text: string): Digest {
    const digest = parseDigest(text);
    if (digest === undefined) this.add(field, "must be sha256: and 64 lower-case hex digits");
    // Never used: `throwIfAny` throws first.
    return digest ?? "sha256:";
  }

  owner(field: string, text: string): string {
    if (!OWNER.test(text)) {
      this.add(
        field,
        "must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit",
      );
    }
    return text;
  }
}
