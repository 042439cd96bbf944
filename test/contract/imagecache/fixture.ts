import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type EnsureImageResponse,
  ImageCacheServiceClient,
  ImageCacheServiceService,
  type PullProgress,
  type ReadyImage,
} from "../../../src/gen/windhover/imagecache/v1/imagecache.ts";
import { type CacheOptions, openCache } from "../../../src/imagecache/cache.ts";
import { DEFAULT_LIMITS } from "../../../src/imagecache/flatten/limits.ts";
import { imageCacheService } from "../../../src/imagecache/service.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { internalTokens, type TokenSource } from "../../../src/lib/auth/tokens.ts";
import { connect, openStream } from "../../../src/lib/grpc/client.ts";
import { createServer, serve } from "../../../src/lib/grpc/server/serve.ts";
import type { Credentials } from "../../../src/lib/oci/auth/credentials.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { type BuiltImage, buildImage, type FakeRegistry } from "../../support/oci/index.ts";
import { temporaryFolder } from "../../support/temporary.ts";

createLogger("test", { write: () => {} });

export const KEYS = generateKeyPair();
const token = internalTokens(KEYS.privateKey, "test");
/** Quick, so that giving up takes no time, and as persistent as in production. */
const RETRY = { attempts: 3, firstMs: 1, maxMs: 20 };
/** For calls that answer from memory. */
export const TIMEOUT = { timeoutMs: 40_000 };
/** Of a pull: one that a registry stalls outlives what is polled for meanwhile. */
const PULL_TIMEOUT_MS = 55_000;
/** Of an image that is nowhere. */
export const MISSING = `sha256:${"0".repeat(64)}`;

/** The image cache, served on a free port, in a directory of its own unless given one. */
export interface TestImageCache extends AsyncDisposable {
  readonly dir: string;
  readonly client: ImageCacheServiceClient;
  /** Another client, with another token. */
  connect(token?: TokenSource): ImageCacheServiceClient;
  /** Makes an image local. @returns everything that was sent */
  ensure(reference: string, digest: string, owner?: string, who?: Who): Promise<Pull>;
  /** Stops it; the directory stays. */
  stop(): Promise<void>;
}

/** For whom an image is made local. Default: for nobody. */
export interface Who {
  readonly org?: string;
  readonly credentials?: Credentials;
}

/** What came of an EnsureImage. */
export interface Pull {
  readonly progress: readonly PullProgress[];
  readonly ready: ReadyImage;
  readonly rootfs: string;
}

export async function startImageCache(options: Partial<CacheOptions> = {}): Promise<TestImageCache> {
  const folder = options.dir === undefined ? temporaryFolder("imagecache") : undefined;
  const dir = options.dir ?? join(folder?.path ?? "", "cache");
  const defaults = {
    budgetBytes: 1e9,
    orgBudgetBytes: options.budgetBytes ?? 1e9,
    limits: DEFAULT_LIMITS,
    registries: { allowPrivate: ["127.0.0.1"] },
    // A test in which a registry stalls is over before that.
    downloads: { places: 12, minBytesPerSecond: 10_240, windowMs: 120_000 },
    buildMemoryBytes: 768 * 1024 * 1024,
    buildTimeoutMs: 300_000,
    retry: RETRY,
  };
  const cache = await openCache({ ...defaults, ...options, dir });
  const server = createServer({ verifier: new TokenVerifier(KEYS.publicKey) });
  server.addService(ImageCacheServiceService, imageCacheService(cache.images, cache.budget));
  const running = await serve(server, "127.0.0.1:0", 2_000);
  const clients: ImageCacheServiceClient[] = [];
  const open = (source?: TokenSource) => {
    const tokens = source ? { token: source } : {};
    const made = connect(ImageCacheServiceClient, `127.0.0.1:${running.port}`, {
      ...tokens,
      ownConnection: true,
    });
    clients.push(made);
    return made;
  };
  const client = open(token);
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    for (const one of clients) one.close();
    await running();
    await cache.close();
  };
  return {
    dir,
    client,
    connect: open,
    ensure: (reference, digest, owner = "", who = {}) => ensure(client, reference, digest, owner, who),
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
    async [Symbol.asyncDispose]() {
      stopping ??= stop();
      await stopping;
      folder?.remove();
    },
  };
}

/** Puts an image nobody else has into a repository of its own. */
export function publishTo(
  registry: FakeRegistry,
  name: string,
  content: string | Buffer = name,
): { reference: string; image: BuiltImage } {
  const image = buildImage({
    layers: [[{ path: "content", content }]],
    config: {
      Entrypoint: ["/bin/server"],
      Cmd: ["--port", "80"],
      Env: ["PATH=/bin", "A=b=c"],
      User: "www:data",
      WorkingDir: "/srv",
      ExposedPorts: { "443/tcp": {}, "80/tcp": {}, "53/udp": {} },
      Volumes: { "/var/lib/data": {}, "/cache": {} },
      StopSignal: "SIGQUIT",
      Labels: { maintainer: "nobody" },
    },
  });
  registry.add(name, "latest", image);
  return { reference: `${registry.host}/${name}:latest`, image };
}

/** Calls EnsureImage to its end. */
export async function ensure(
  client: ImageCacheServiceClient,
  reference: string,
  digest: string,
  owner = "",
  who: Who = {},
): Promise<Pull> {
  const progress: PullProgress[] = [];
  let ready: ReadyImage | undefined;
  for await (const { event } of openEnsure(client, reference, digest, owner, who)) {
    if (event?.$case === "progress") progress.push(event.value);
    else ready = event?.value;
  }
  if (ready?.image === undefined) throw new Error("EnsureImage ended without an image");
  return { progress, ready, rootfs: ready.image.rootfsPath };
}

/** Opens EnsureImage. */
export function openEnsure(
  client: ImageCacheServiceClient,
  reference: string,
  digest: string,
  owner = "",
  who: Who = {},
): AsyncGenerator<EnsureImageResponse> {
  const request = { reference, digest, owner, org: "", credentials: undefined, ...who };
  return openStream(client, client.ensureImage, request, { timeoutMs: PULL_TIMEOUT_MS });
}

/** A line of what `unsquashfs` lists. */
export interface SquashFile {
  /** As `ls` shows it: `-rwxr-xr-x`. */
  readonly mode: string;
  /** Ids, `0/0`. */
  readonly owner: string;
  /** Modification, `2020-09-13 12:26`, UTC. */
  readonly time: string;
}

/** Lists a squashfs. The root is the empty path. */
export function readSquashfs(path: string): Map<string, SquashFile> {
  const env = { PATH: process.env["PATH"], TZ: "UTC" };
  const listing = execFileSync("unsquashfs", ["-lln", path], { encoding: "utf8", env });
  const files = new Map<string, SquashFile>();
  for (const line of listing.split("\n")) {
    const found =
      /^(\S{10})\s+(\d+\/\d+)\s+\d+(?:,\s*\d+)?\s+(\S+ \S+) squashfs-root\/?(.*?)(?: -> .*)?$/.exec(line);
    if (!found) continue;
    const [, mode = "", owner = "", time = "", name = ""] = found;
    files.set(name, { mode, owner, time });
  }
  return files;
}

/** The content of one file of a squashfs. */
export function catSquashfs(path: string, name: string): Buffer {
  return execFileSync("rdsquashfs", ["--cat", name, path], { maxBuffer: 64 * 1024 * 1024 });
}

/** Extended attributes of one file, as `name=value` with the value in hex or as text, sorted. */
export function xattrsOf(path: string, name: string): string[] {
  const text = execFileSync("rdsquashfs", ["--xattr", name, path], { encoding: "latin1" });
  return text.split("\n").filter(Boolean).sort();
}

export function hash(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
