import type { Digest } from "../lib/oci/digest.ts";
import { RegistryClient, type RegistryOptions } from "../lib/oci/registry.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "../lib/oci/retry.ts";
import { type Clock, systemClock } from "../lib/runtime/clock.ts";
import { startLoop } from "../lib/runtime/lifecycle.ts";
import { logger } from "../lib/runtime/log.ts";
import { Builder } from "./build/builder.ts";
import { findSandbox, type Sandbox } from "./build/sandbox.ts";
import { CacheDir } from "./disk/cache-dir.ts";
import { DiskBudget } from "./disk/disk-budget.ts";
import { ImageStore } from "./disk/image-store.ts";
import { OrgShares } from "./disk/org-shares.ts";
import { Pins } from "./disk/pins.ts";
import { verifyImages } from "./disk/verify-images.ts";
import type { Limits } from "./flatten/limits.ts";
import { Images } from "./images.ts";
import { Blobs, type DownloadLimits } from "./pulls/blobs.ts";
import { Proofs } from "./pulls/proofs.ts";
import { Puller } from "./pulls/puller.ts";

export interface CacheOptions {
  /** Absolute. */
  readonly dir: string;
  readonly budgetBytes: number;
  /** For the images that the machines of one organisation use. */
  readonly orgBudgetBytes: number;
  readonly limits: Limits;
  readonly registries: Pick<RegistryOptions, "insecure" | "allowPrivate" | "proxies" | "timeouts">;
  readonly downloads: DownloadLimits;
  /** Of each of the two processes that build an image. */
  readonly buildMemoryBytes: number;
  readonly buildTimeoutMs: number;
  readonly retry?: RetryPolicy;
  /** Default: the best that works on this host. */
  readonly sandbox?: Sandbox;
  readonly clock?: Clock;
}

/** An image cache without its server. */
export interface Cache {
  readonly images: Images;
  readonly budget: DiskBudget;
  readonly sandbox: Sandbox;
  /** Aborts pulls and unlocks the folder. */
  close(): Promise<void>;
}

const VERIFY_EVERY_MS = 24 * 60 * 60 * 1000;

export async function openCache(options: CacheOptions): Promise<Cache> {
  const { limits, clock = systemClock, retry = DEFAULT_RETRY, registries } = options;
  const dir = await CacheDir.open(options.dir);
  const pins = await Pins.open(dir.pins);
  const store = new ImageStore(dir, clock);
  await store.load((digest) => pins.owners(digest).length > 0);

  const client = new RegistryClient({ ...registries, retry, clock });
  const proofs = new Proofs(clock);
  const blobs = new Blobs({ dir, client, proofs, retry, limits: options.downloads });
  const isInUse = (digest: Digest) => images.isInUse(digest);
  const budget = new DiskBudget(dir, store, options.budgetBytes, isInUse);
  const sandbox = options.sandbox ?? (await findSandbox(dir.compiled));
  if (sandbox.shortfall !== "")
    logger.warn("images are built without full confinement", { shortfall: sandbox.shortfall });
  const { buildMemoryBytes: memoryBytes, buildTimeoutMs: timeoutMs } = options;
  const builder = new Builder({ dir, budget, images: store, limits, sandbox, memoryBytes, timeoutMs, clock });
  const { orgBudgetBytes } = options;
  const puller = new Puller({
    dir,
    client,
    blobs,
    budget,
    builder,
    images: store,
    limits,
    orgBudgetBytes,
    clock,
  });
  const shares = new OrgShares(pins, store, orgBudgetBytes);
  const images = new Images(store, pins, shares, puller, proofs);

  // The budget may have become smaller.
  await budget.makeRoom(0);
  const verify = (signal: AbortSignal) => verifyImages(store, isInUse, signal);
  const stopVerifying = startLoop(VERIFY_EVERY_MS, 0, verify, { name: "verify images" });
  return {
    images,
    budget,
    sandbox,
    close: async () => {
      await stopVerifying();
      await images.close();
      await blobs.close();
      client.close();
      await dir.close();
    },
  };
}
