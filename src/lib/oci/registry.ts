import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { hasReason } from "../faults/fault.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { type Access, accessKey } from "./auth/credentials.ts";
import { Tokens } from "./auth/tokens.ts";
import { type Digest, digestOf } from "./digest.ts";
import { imageFault, type Subject } from "./faults.ts";
import {
  bodyOf,
  discard,
  HttpClient,
  type HttpResponse,
  type HttpTimeouts,
  type Proxies,
} from "./http/client.ts";
import { Documents } from "./http/documents.ts";
import { checkPlatform, type ImageConfig, parseConfig, platformMissing } from "./image/config.ts";
import {
  ACCEPTED_MANIFESTS,
  type Descriptor,
  type ImageManifest,
  type IndexEntry,
  notAnImage,
  parseManifest,
} from "./image/manifest.ts";
import { type Platform, runsOn } from "./image/platform.ts";
import type { ImageSource } from "./image-source.ts";
import { RateLimits } from "./rate-limits.ts";
import { formatReference, isLoopback } from "./reference.ts";
import { type RegistryRequest, RegistryRequests } from "./requests.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "./retry.ts";

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
  /** Registries that use plain http besides those on loopback, as `host` or `host:port`. */
  readonly insecure?: readonly string[];
  /** Hosts that may be at private addresses, as `host` or `host:port`. */
  readonly allowPrivate?: readonly string[];
  /** Default: none. */
  readonly proxies?: Proxies;
  /** Default 10 s to connect, 30 s without a byte. */
  readonly timeouts?: HttpTimeouts;
  readonly retry?: RetryPolicy;
  readonly clock?: Clock;
}

const PLATFORM: Platform = { os: "linux", architecture: "amd64", variant: "" };
/** As in Docker's registry. */
const MAX_MANIFEST = 4 * 1024 * 1024;
const MAX_CONFIG = 8 * 1024 * 1024;
/** What is kept of configurations, and for how long: machines are made from few images. */
const CONFIGS_BYTES = 16 * 1024 * 1024;
const CONFIGS_MS = 10 * 60_000;
/** An index may have an index; none is nested deeper. */
const MAX_DEPTH = 3;
/** Entries of an index without a platform whose configurations are read. */
const MAX_TRIED = 8;
const TIMEOUTS: HttpTimeouts = { connectMs: 10_000, idleMs: 30_000 };
const NO_PROXIES: Proxies = { http: "", https: "", except: "" };

/** Resolves references and opens blobs of OCI registries. */
export class RegistryClient {
  readonly #http: HttpClient;
  readonly #requests: RegistryRequests;
  readonly #documents = new Documents();
  /** Configurations by who has read them, from which repository, and their digests, which the manifest proves. */
  readonly #configs = new LRUCache<string, Buffer>({
    maxSize: CONFIGS_BYTES,
    maxEntrySize: CONFIGS_BYTES / 16,
    sizeCalculation: (body, key) => body.length + key.length,
    ttl: CONFIGS_MS,
  });

  constructor(options: RegistryOptions = {}) {
    const { timeouts = TIMEOUTS, clock = systemClock, insecure = [], allowPrivate = [] } = options;
    const http = new HttpClient({ timeouts, allowPrivate, proxies: options.proxies ?? NO_PROXIES });
    this.#http = http;
    const isInsecure = (registry: string) => isLoopback(registry) || insecure.includes(registry);
    const parts = { tokens: new Tokens(http, clock), limits: new RateLimits(clock), http, clock, isInsecure };
    this.#requests = new RegistryRequests({ ...parts, retry: options.retry ?? DEFAULT_RETRY });
  }

  /**
   * Resolves a reference: reads index, manifest and configuration for a platform, and verifies all digests.
   *
   * @throws Fault `IMAGE_NOT_FOUND`, `REGISTRY_UNAVAILABLE`, `REGISTRY_RATE_LIMITED`, `REGISTRY_UNAUTHORIZED`,
   *   `NOT_AN_IMAGE`, `PLATFORM_NOT_AVAILABLE`, `IMAGE_DIGEST_MISMATCH` or `LAYER_TYPE_UNKNOWN`
   */
  resolve(from: ImageSource, signal: AbortSignal, platform = PLATFORM): Promise<ResolvedImage> {
    return this.#resolve(from, from.digest ?? from.tag ?? "latest", platform, 1, signal);
  }

  /**
   * Opens a blob from `offset`, if the registry supports ranges.
   *
   * @returns the real offset (0 or `offset`), and the bytes, which are not verified
   * @throws Fault as {@link resolve}; the bytes throw ConnectionError when the connection breaks
   */
  async openBlob(from: ImageSource, blob: Descriptor, offset: number, subject: Subject, signal: AbortSignal) {
    const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const request = { from, path: `blobs/${blob.digest}`, headers, subject, signal };
    let response = await this.#requests.get(request);
    if (response.status === 416 || (response.status === 206 && !startsAt(response, offset))) {
      discard(response);
      response = await this.#requests.get({ ...request, headers: {} });
    }
    return { offset: response.status === 206 ? offset : 0, bytes: bodyOf(response, signal) };
  }

  /**
   * Reads a piece of a blob, also from a registry that sends all of it.
   *
   * @param onBytes called with bytes that came over the network
   * @throws Fault as {@link resolve}
   */
  async readRange(
    from: ImageSource,
    blob: Descriptor,
    { offset, length }: { readonly offset: number; readonly length: number },
    subject: Subject,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<Buffer> {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    const request = { from, path: `blobs/${blob.digest}`, headers, subject, signal };
    const { body } = await this.#requests.read(request, async (response) => {
      const parts: Buffer[] = [];
      let at = response.status === 206 && startsAt(response, offset) ? offset : 0;
      for await (const part of bodyOf(response, signal)) {
        onBytes(part.length);
        // Not of parts before the piece: an empty view of one would keep all of it in memory.
        if (at + part.length > offset) parts.push(part.subarray(Math.max(0, offset - at)));
        at += part.length;
        if (at >= offset + length) break;
      }
      return Buffer.concat(parts).subarray(0, length);
    });
    return body;
  }

  /**
   * Asks a registry whether it takes credentials. Returns false when it asks for none.
   *
   * @throws Fault `REGISTRY_UNAUTHORIZED` when it refuses them, and as {@link resolve}
   */
  checkLogin(registry: string, access: Access, signal: AbortSignal): Promise<boolean> {
    const from = { registry, repository: "", access };
    const subject = { reference: registry };
    return this.#requests.checkLogin({ from, path: "", headers: {}, subject, signal });
  }

  close(): void {
    this.#http.close();
  }

  async #resolve(
    from: ImageSource,
    target: string,
    platform: Platform,
    depth: number,
    signal: AbortSignal,
  ): Promise<ResolvedImage> {
    const reference = formatReference(from);
    const subject = { reference, ...(target.includes(":") ? { digest: target } : {}) };
    if (depth > MAX_DEPTH) throw notAnImage(subject, `its indexes are nested deeper than ${MAX_DEPTH}`);
    const { body, digest, contentType } = await this.#manifest(from, target, subject, signal);
    const found = { reference, digest };
    const document = parseManifest(body, contentType, found);
    if (document.kind === "image") {
      const config = await this.#config(from, document.manifest, found, signal);
      checkPlatform(config, platform, found);
      return { ...found, manifest: document.manifest, config };
    }
    const resolve = (entry: IndexEntry) => this.#resolve(from, entry.digest, platform, depth + 1, signal);
    return { ...(await choose(document.images, platform, found, resolve)), indexDigest: digest };
  }

  async #manifest(from: ImageSource, target: string, subject: Subject, signal: AbortSignal) {
    const headers = { accept: ACCEPTED_MANIFESTS.join(", ") };
    const request = { from, path: `manifests/${target}`, headers, subject, signal };
    const { body, response } = await this.#read(request, MAX_MANIFEST);
    if (!body) throw notAnImage(subject, `its manifest is larger than ${MAX_MANIFEST} bytes`);
    const digest = hash(body);
    if (target.includes(":") && digest !== target) throw mismatch("its manifest", target, digest, subject);
    return { body, digest, contentType: response.header("content-type") ?? "" };
  }

  async #config(from: ImageSource, manifest: ImageManifest, subject: Subject, signal: AbortSignal) {
    const key = `${accessKey(from.access)} ${from.registry}/${from.repository} ${manifest.config.digest}`;
    const body = this.#configs.get(key) ?? (await this.#readConfig(from, manifest, subject, signal));
    this.#configs.set(key, body);
    return parseConfig(body, manifest, subject);
  }

  async #readConfig(from: ImageSource, manifest: ImageManifest, subject: Subject, signal: AbortSignal) {
    const request = { from, path: `blobs/${manifest.config.digest}`, headers: {}, subject, signal };
    const { body } = await this.#read(request, MAX_CONFIG);
    if (!body) throw notAnImage(subject, `its configuration is larger than ${MAX_CONFIG} bytes`);
    const digest = hash(body);
    if (digest !== manifest.config.digest)
      throw mismatch("its configuration", manifest.config.digest, digest, subject);
    return body;
  }

  #read(request: RegistryRequest, limit: number) {
    const { from, signal } = request;
    return this.#documents.read(
      (consume) => this.#requests.read(request, consume),
      limit,
      from.access.org,
      signal,
    );
  }
}

/**
 * Chooses among variants of an architecture: the one without a name, then the oldest, which runs anywhere. Without any, the
 * first entry without a platform whose configuration has it.
 */
async function choose(
  images: readonly IndexEntry[],
  platform: Platform,
  subject: Subject,
  resolve: (entry: IndexEntry) => Promise<ResolvedImage>,
): Promise<ResolvedImage> {
  const named = images.flatMap(({ digest, platform: its }) => (its ? [{ digest, platform: its }] : []));
  const fitting = named.filter((entry) => runsOn(entry.platform, platform));
  const [best] = fitting.sort((a, b) => (a.platform.variant < b.platform.variant ? -1 : 1));
  if (best) return resolve(best);
  const unnamed = images.filter((entry) => entry.platform === undefined).slice(0, MAX_TRIED);
  let first: unknown;
  for (const entry of unnamed) {
    try {
      return await resolve(entry);
    } catch (err) {
      if (!SKIPPED.some((reason) => hasReason(err, reason))) throw err;
      first ??= err;
    }
  }
  if (unnamed.length === 1) throw first;
  // Build tools store attestations with an unknown platform.
  const real = named.map((entry) => entry.platform).filter(({ os }) => os !== "unknown");
  throw platformMissing(platform, real, subject);
}

/** Faults of an entry of an index without a platform after which the next is tried. */
const SKIPPED = ["NOT_AN_IMAGE", "PLATFORM_NOT_AVAILABLE", "LAYER_TYPE_UNKNOWN", "IMAGE_NOT_FOUND"];

function startsAt(response: HttpResponse, offset: number): boolean {
  return response.header("content-range")?.startsWith(`bytes ${offset}-`) ?? false;
}

function hash(body: Buffer): Digest {
  return digestOf(createHash("sha256").update(body).digest("hex"));
}

function mismatch(what: string, expected: string, actual: string, subject: Subject) {
  const problem = `${what} has the digest ${actual}, not ${expected}; the registry or something in between changed it`;
  return imageFault("IMAGE_DIGEST_MISMATCH", subject, problem, { expected, actual });
}
