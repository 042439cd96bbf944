import { Fault } from "../lib/faults/fault.ts";
import { type Stack, startLoop } from "../lib/runtime/lifecycle.ts";
import { logger } from "../lib/runtime/log.ts";
import type { DiskWatch } from "./availability/disk-watch.ts";
import type { AssembledHost } from "./hostd.ts";
import type { ImageCacheClient } from "./images/imagecache-client.ts";
import { sweep } from "./operations/reconcile.ts";
import type { ReportsClient } from "./reports/reports-client.ts";

const ANNOUNCE_INTERVAL_MS = 5_000;
const IMAGES_INTERVAL_MS = 5_000;
/** In this time a machine writes a few hundred MB: less than the reserve of the disk. */
const DISK_INTERVAL_MS = 1_000;
const SWEEP_INTERVAL_MS = 60_000;

export function startBackground(
  stack: Stack,
  parts: AssembledHost & {
    readonly images: ImageCacheClient;
    readonly disk: DiskWatch;
    readonly apis: readonly ReportsClient[];
  },
): void {
  const { host, machines, images, disk, apis } = parts;
  const loop = (name: string, intervalMs: number, work: () => Promise<void>): void =>
    stack.add(name, startLoop(intervalMs, intervalMs / 10, work, { name }));
  loop("refresh the disk", DISK_INTERVAL_MS, () => disk.refresh());
  loop("refresh the images", IMAGES_INTERVAL_MS, () => refresh(images));
  loop("sweep", SWEEP_INTERVAL_MS, () => sweep(host, machines));
  for (const api of apis) loop("announce the host", ANNOUNCE_INTERVAL_MS, announcer(api));
}

/** Does not report an image cache that is away: creates and the sweep do. */
async function refresh(images: ImageCacheClient): Promise<void> {
  try {
    await images.refresh();
  } catch (err) {
    if (!(err instanceof Fault && err.code === "UNAVAILABLE")) throw err;
  }
}

/** Returns a function that announces the host to an api. It logs an error once until it changes. */
function announcer(api: ReportsClient): () => Promise<void> {
  let lastReason: string | undefined;
  return async () => {
    try {
      await api.announce();
      lastReason = undefined;
    } catch (error) {
      const reason = error instanceof Fault ? error.reason : "INTERNAL";
      const isRepeat = reason === lastReason;
      lastReason = reason;
      if (isRepeat) return;
      const level = reason === "HOST_NUMBER_TAKEN" ? "error" : "warn";
      logger[level]("could not announce this host to an api", { api: api.address, reason, error });
    }
  };
}
