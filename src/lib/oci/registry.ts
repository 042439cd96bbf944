import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { checkPlatform, type ImageConfig, parseConfig, platformMissing } from "./config.ts";
import { anonymous, type CredentialLookup } from "./credentials.ts";
import { type Digest, digestOf } from "./digest.ts";
import { imageFault, type Subject } from "./faults.ts";
import { bodyOf, discard, HttpClient, type HttpTimeouts, readBody } from "./http.ts";
import type { PlatformDescriptor } from "./manifest.ts";
import {
  ACCEPTED_MANIFESTS,
  type Descriptor,
  type ImageManifest,
  notAnImage,
  parseManifest,
} from "./manifest.ts";
import { formatReference, type ImageReference, isLoopback } from "./reference.ts";
import { RegistryRequests } from "./requests.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts";
import { Tokens } from "./tokens.ts";

/** An image of a registry for one platform, with verified digests. */
export interface ResolvedImage {
  /** As requested, in full. */
  readonly reference: string;
  readonly digest: Digest;
  readonly indexDigest?: Digest;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

export interface RegistryOptions {
  /** Default: no credentials. */
  readonly credentials?: CredentialLookup;
  /** Registries that use plain http besides those on loopback, as `host` or `host:port`. */
  readonly insecure?: readonly string[];
  /** Default 10 s to connect, 30 s without a byte. */
  readonly timeouts?: HttpTimeouts;
  readonly retry?: RetryPolicy;
  readonly clock?: Clock;
}

const PLATFORM = "linux/amd64";
/** As in Docker's registry. */
const MAX_MANIFEST = 4 * 1024 * 1024;
const MAX_CONFIG = 8 * 1024 * 1024;
/** An index may have an index; none is nested deeper. */
const MAX_DEPTH = 3;
const TIMEOUTS: HttpTimeouts = { connectMs: 10_000, idleMs: 30_000 };

/** Resolves references and opens blobs of OCI registries. */
export class RegistryClient {
  readonly #http = new HttpClient();
  readonly #requests: RegistryRequests;

  constructor(options: RegistryOptions = {}) {
    const { timeouts = TIMEOUTS, clock = systemClock, insecure = [] } = options;
    const tokens = new Tokens(this.#http, options.credentials ?? anonymous, timeouts, clock);
    const isInsecure = (registry: string) => isLoopback(registry) || insecure.includes(registry);
    const retry = options.retry ?? DEFAULT_RETRY;
    this.#requests = new RegistryRequests({ http: this.#http, tokens, timeouts, retry, clock, isInsecure });
  }

  /**
   * Resolves a reference: reads index, manifest and configuration for a platform, and verifies all digests.
   *
   * @throws Fault `IMAGE_NOT_FOUND`, `REGISTRY_UNAVAILABLE`, `REGISTRY_UNAUTHORIZED`, `NOT_AN_IMAGE`,
   *   `PLATFORM_NOT_AVAILABLE`, `IMAGE_DIGEST_MISMATCH` or `LAYER_TYPE_UNKNOWN`
   */
  async resolve(ref: ImageReference, signal: AbortSignal, platform = PLATFORM): Promise<ResolvedImage> {
    const reference = formatReference(ref);
    let target: string = ref.digest ?? ref.tag ?? "latest";
    let indexDigest: Digest | undefined;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const subject = { reference, ...(target.includes(":") ? { digest: target } : {}) };
      const { body, digest, contentType } = await this.#manifest(ref, target, subject, signal);
      const found = { reference, digest };
      const document = parseManifest(body, contentType, found);
      if (document.kind === "image") {
        const config = await this.#config(ref, document.manifest, found, signal);
        checkPlatform(config, platform, found);
        return { ...found, ...(indexDigest ? { indexDigest } : {}), manifest: document.manifest, config };
      }
      indexDigest ??= digest;
      target = choose(document.images, platform, found).digest;
    }
    throw notAnImage({ reference }, `its indexes are nested deeper than ${MAX_DEPTH}`);
  }

  /**
   * Opens a blob from `offset`, if the registry supports ranges.
   *
   * @returns the real offset (0 or `offset`), and the bytes, which are not verified
   * @throws Fault as {@link resolve}; the bytes throw ConnectionError when the connection breaks
   */
  async openBlob(
    ref: ImageReference,
    blob: Descriptor,
    offset: number,
    subject: Subject,
    signal: AbortSignal,
  ) {
    const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const request = { ref, path: `blobs/${blob.digest}`, headers, subject, signal };
    let response = await this.#requests.get(request);
    if (response.statusCode === 416 || (response.statusCode === 206 && !startsAt(response, offset))) {
      discard(response);
      response = await this.#requests.get({ ...request, headers: {} });
    }
    return { offset: response.statusCode === 206 ? offset : 0, bytes: bodyOf(response, signal) };
  }

  close(): void {
    this.#http.close();
  }

  async #manifest(ref: ImageReference, target: string, subject: Subject, signal: AbortSignal) {
    const headers = { accept: ACCEPTED_MANIFESTS.join(", ") };
    const request = { ref, path: `manifests/${target}`, headers, subject, signal };
    const { body, response } = await this.#requests.read(request, (r) => readBody(r, MAX_MANIFEST, signal));
    if (!body) throw notAnImage(subject, `its manifest is larger than ${MAX_MANIFEST} bytes`);
    const digest = hash(body);
    if (target.includes(":") && digest !== target) throw mismatch("its manifest", target, digest, subject);
    return { body, digest, contentType: response.headers["content-type"] ?? "" };
  }

  async #config(ref: ImageReference, manifest: ImageManifest, subject: Subject, signal: AbortSignal) {
    const request = { ref, path: `blobs/${manifest.config.digest}`, headers: {}, subject, signal };
    const { body } = await this.#requests.read(request, (r) => readBody(r, MAX_CONFIG, signal));
    if (!body) throw notAnImage(subject, `its configuration is larger than ${MAX_CONFIG} bytes`);
    const digest = hash(body);
    if (digest !== manifest.config.digest)
      throw mismatch("its configuration", manifest.config.digest, digest, subject);
    return parseConfig(body, manifest, subject);
  }
}

/** Chooses among variants of an architecture: the one without a name, then the oldest, which runs anywhere. */
function choose(
  images: readonly PlatformDescriptor[],
  platform: string,
  subject: Subject,
): PlatformDescriptor {
  const fits = images.filter((i) => i.platform === platform || i.platform.startsWith(`${platform}/`));
  const best = fits.sort((a, b) => (a.platform < b.platform ? -1 : a.platform > b.platform ? 1 : 0))[0];
  if (best) return best;
  // Build tools store attestations with an unknown platform.
  const real = images.map((i) => i.platform).filter((p) => p !== "" && p !== "unknown/unknown");
  throw platformMissing(platform, real, subject);
}

function startsAt(response: IncomingMessage, offset: number): boolean {
  return response.headers["content-range"]?.startsWith(`bytes ${offset}-`) ?? false;
}

function hash(body: Buffer): Digest {
  return digestOf(createHash("sha256").update(body).digest("hex"));
}

function mismatch(what: string, expected: string, actual: string, subject: Subject) {
  const problem = `${what} has the digest ${actual}, not ${expected}; the registry or something in between changed it`;
  return imageFault("IMAGE_DIGEST_MISMATCH", subject, problem, { expected, actual });
}
