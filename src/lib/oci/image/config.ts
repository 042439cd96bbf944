import { type Digest, parseDigest } from "../digest.ts";
import { imageFault, type Subject } from "../faults.ts";
import { ConfigFields } from "./config-fields.ts";
import { type ImageManifest, notAnImage, parseJson, record } from "./manifest.ts";
import { formatPlatform, type Platform, runsOn, toPlatform } from "./platform.ts";

/** How to run an image. Any field may be empty. */
export interface RunConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `NAME=value`, in the image's order. */
  readonly env: readonly string[];
  /** `name`, `uid`, `name:group` or `uid:gid`; empty is root. */
  readonly user: string;
  /** Empty is `/`. */
  readonly workingDir: string;
  /** `80/tcp`, by number. */
  readonly exposedPorts: readonly string[];
  /** Name or number of a signal that Linux has; empty is the default. */
  readonly stopSignal: string;
  /** Directories that must exist, sorted. Absent in images that were unpacked before there was this field. */
  readonly volumes?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface ImageConfig {
  /** Undefined: unknown. */
  readonly platform: Platform | undefined;
  readonly run: RunConfig;
  /** Digests of the unpacked layers, lowest first, one for each layer. */
  readonly diffIds: readonly Digest[];
}

/** Limit of the {@link RunConfig}, which is stored and sent. Real ones take a few KiB. */
const MAX_RUN_BYTES = 256 * 1024;
const MAX_LISTED = 20;

/**
 * Parses an image's configuration.
 *
 * @throws Fault `NOT_AN_IMAGE` when it is unreadable or does not match the manifest; `IMAGE_CONFIG_INVALID` naming every field of
 *   the wrong type, and an unknown stop signal
 */
export function parseConfig(body: Buffer, manifest: ImageManifest, subject: Subject): ImageConfig {
  const json = parseJson(body, "its configuration", subject);
  const run = record(json["config"]);
  const diffIds = strings(record(json["rootfs"])["diff_ids"]).map(parseDigest);
  if (diffIds.length !== manifest.layers.length) {
    const counts = `${manifest.layers.length} layers, its configuration ${diffIds.length}`;
    throw notAnImage(subject, `its manifest has ${counts}`);
  }
  if (Buffer.byteLength(JSON.stringify(run)) > MAX_RUN_BYTES) {
    throw notAnImage(subject, `its environment, labels and so on take more than ${MAX_RUN_BYTES} bytes`);
  }
  return {
    platform: string(json["architecture"]) === "" ? undefined : toPlatform(json),
    run: runConfig(json["config"], subject),
    diffIds: diffIds.map((id) => id ?? refuse(subject)),
  };
}

function runConfig(config: unknown, subject: Subject): RunConfig {
  const fields = new ConfigFields(config);
  const run = {
    entrypoint: fields.words("Entrypoint"),
    cmd: fields.words("Cmd"),
    env: fields.list("Env"),
    user: fields.text("User"),
    workingDir: fields.text("WorkingDir"),
    exposedPorts: fields.names("ExposedPorts").sort(byNumber),
    stopSignal: fields.signal("StopSignal"),
    volumes: fields.names("Volumes").sort(),
    labels: fields.texts("Labels"),
  };
  const { problems } = fields;
  if (problems.size === 0) return run;
  const list = [...problems].map(([field, problem]) => `${field} ${problem}`).join("; ");
  const facts = { fields: [...problems.keys()].join(",") };
  throw imageFault("IMAGE_CONFIG_INVALID", subject, `its configuration cannot be run: ${list}`, facts);
}

/** @throws Fault `PLATFORM_NOT_AVAILABLE` when the image is for another platform */
export function checkPlatform({ platform }: ImageConfig, wanted: Platform, subject: Subject): void {
  if (platform === undefined || runsOn(platform, wanted)) return;
  throw platformMissing(wanted, [platform], subject);
}

/** Makes the fault for an image without our platform. */
export function platformMissing(wanted: Platform, available: readonly Platform[], subject: Subject) {
  const platform = formatPlatform(wanted);
  const names = [...new Set(available.map(formatPlatform))].sort();
  const list = names.slice(0, MAX_LISTED).join(", ");
  const problem = `there is none for ${platform}, only for ${list || "no platform at all"}; build or pick one for ${platform}`;
  return imageFault("PLATFORM_NOT_AVAILABLE", subject, problem, { platform, available: list });
}

function refuse(subject: Subject): never {
  throw notAnImage(subject, "its configuration names a layer by something else than a sha256 digest");
}

function byNumber(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1);
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((v) => typeof v === "string") : [];
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}
