import type * as pbImage from "../gen/windhover/imagecache/v1/image.ts";
import * as pb from "../gen/windhover/imagecache/v1/imagecache.ts";
import { Fault } from "../lib/faults/fault.ts";
import { Violations } from "../lib/faults/violations.ts";
import { mapToProto } from "../lib/grpc/messages/maps.ts";
import { type Digest, parseDigest } from "../lib/oci/digest.ts";
import { parseReference } from "../lib/oci/reference.ts";
import type { ImageView } from "./disk/image.ts";
import { isWithin, OWNER, type OwnerRange, type Pin } from "./disk/pins.ts";
import type { EnsureRequest, EnsureStep } from "./images.ts";
import type { Phase } from "./pulls/progress.ts";

const PHASES: Readonly<Record<Phase, pb.PullPhase>> = {
  queued: pb.PullPhase.QUEUED,
  resolving: pb.PullPhase.RESOLVING,
  downloading: pb.PullPhase.DOWNLOADING,
  flattening: pb.PullPhase.FLATTENING,
  squashing: pb.PullPhase.SQUASHING,
};
const DEFAULT_PAGE = 100;
const MAX_PAGE = 200;
const MAX_PINS = 100_000;
/** Longer than any organisation's name. */
const MAX_ORG = 256;

/** @throws Fault INVALID_ARGUMENT / `IMAGE_REFERENCE_INVALID` */
export function ensureRequestFromProto(req: pb.EnsureImageRequest): EnsureRequest {
  const violations = new RequestViolations();
  violations.check(
    req.reference !== "",
    "reference",
    "is required: where the image comes from, such as nginx:1.27",
  );
  const digest = violations.digest("digest", req.digest);
  const owner = req.owner === "" ? "" : violations.owner("owner", req.owner);
  violations.throwIfAny();
  const { org, credentials } = req;
  const access = { org, credentials };
  return { from: { ...parseReference(req.reference, "reference"), digest, access }, owner };
}

export function digestFromProto(req: { readonly digest: string }): Digest {
  const violations = new RequestViolations();
  const digest = violations.digest("digest", req.digest);
  violations.throwIfAny();
  return digest;
}

export function pinFromProto(req: Omit<pb.Pin, "org"> & { readonly org?: string }): Pin {
  const violations = new RequestViolations();
  const pin = violations.pin("", { org: "", ...req });
  violations.throwIfAny();
  return pin;
}

export function reconcileFromProto({ pins, afterOwner, upToOwner }: pb.ReconcilePinsRequest): {
  readonly pins: readonly Pin[];
  readonly range: OwnerRange;
} {
  const violations = new RequestViolations();
  violations.check(pins.length <= MAX_PINS, "pins", `has ${pins.length}; the limit is ${MAX_PINS}`);
  const parsed = pins.slice(0, MAX_PINS).map((pin, index) => violations.pin(`pins[${index}].`, pin));
  violations.throwIfAny();
  const range = { after: afterOwner, upTo: upToOwner };
  const stranger = parsed.findIndex(({ owner }) => !isWithin(owner, range));
  violations.check(stranger < 0, `pins[${stranger}].owner`, "is not in the range");
  violations.throwIfAny();
  return { pins: parsed, range };
}

/** @throws Fault INVALID_ARGUMENT / `PAGE_TOKEN_INVALID` */
export function pageFromProto(req: pb.ListImagesRequest): { after: string; limit: number } {
  const violations = new RequestViolations();
  violations.check(req.pageSize >= 0, "page_size", "must not be negative");
  violations.throwIfAny();
  if (req.pageToken !== "" && parseDigest(req.pageToken) === undefined) {
    const description = "is not from an earlier response";
    throw new Fault(
      "INVALID_ARGUMENT",
      "PAGE_TOKEN_INVALID",
      `the page token ${description}; leave it empty to begin at the first page`,
      {},
      { violations: [{ field: "page_token", description }] },
    );
  }
  return { after: req.pageToken, limit: Math.min(req.pageSize || DEFAULT_PAGE, MAX_PAGE) };
}

export function stepToProto(step: EnsureStep): pb.EnsureImageResponse {
  if (step.kind === "ready") {
    const downloadedBytes = BigInt(step.downloadedBytes);
    const value = { image: imageToProto(step.image), wasCached: step.wasCached, downloadedBytes };
    return { event: { $case: "ready", value } };
  }
  const { phase, bytesDone, bytesTotal, layersDone, layersTotal } = step.progress;
  const bytes = { bytesDone: BigInt(bytesDone), bytesTotal: BigInt(bytesTotal) };
  return { event: { $case: "progress", value: { phase: PHASES[phase], ...bytes, layersDone, layersTotal } } };
}

export function imageToProto(image: ImageView): pbImage.Image {
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
      volumes: [...(config.volumes ?? [])],
      labels: mapToProto(config.labels),
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

/** Checks fields. Each converter of a request throws INVALID_ARGUMENT / `INVALID_FIELDS` when any is wrong. */
class RequestViolations extends Violations {
  digest(field: string, text: string): Digest {
    const digest = parseDigest(text);
    if (digest === undefined) this.add(field, "must be sha256: and 64 lower-case hex digits");
    // Never used, since `throwIfAny` throws before.
    return digest ?? "sha256:";
  }

  owner(field: string, text: string): string {
    this.check(
      OWNER.test(text),
      field,
      "must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit",
    );
    return text;
  }

  pin(prefix: string, { digest, owner, org }: pb.Pin): Pin {
    this.check(
      org.length <= MAX_ORG,
      `${prefix}org`,
      `has ${org.length} characters; the limit is ${MAX_ORG}`,
    );
    const pin = {
      digest: this.digest(`${prefix}digest`, digest),
      owner: this.owner(`${prefix}owner`, owner),
    };
    return { ...pin, org };
  }
}
