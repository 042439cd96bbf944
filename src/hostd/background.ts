import { context } from "@opentelemetry/api";
import { suppressTracing } from "@opentelemetry/core";
import type { AnnounceHostRequest } from "../gen/windhover/admin/v1/hosts.ts";
import { Fault } from "../lib/faults/fault.ts";
import { type Stack, startLoop } from "../lib/runtime/lifecycle.ts";
import { logger } from "../lib/runtime/log.ts";
import type { DiskWatch } from "./availability/disk-watch.ts";
import type { AssembledHost } from "./hostd.ts";
import type { ImageCacheClient } from "./images/imagecache-client.ts";
import { reconcilePins, sweep } from "./operations/reconcile.ts";
import type { ReportsApi } from "./reports/outbox.ts";
import type { Store } from "./store/store.ts";

const ANNOUNCE_MS = 5_000;
const IMAGES_MS = 5_000;
/** A machine writes some hundred MB in that time: less than is kept free. */
const DISK_MS = 1_000;
const SWEEP_MS = 60_000;
/** How long the record of a destroyed machine answers late calls. */
const TOMBSTONE_MS = 60 * 60_000;

/** Starts what hostd does without being asked. `stack` ends it. */
export function startBackground(
  stack: Stack,
  parts: AssembledHost & {
    readonly store: Store;
    readonly images: ImageCacheClient;
    readonly disk: DiskWatch;
  },
): void {
  const { host, machines, store, images, disk } = parts;
  let arePinsRight = false;
  const loop = (name: string, intervalMs: number, work: () => Promise<void>): void => {
    const quietly = () => context.with(suppressTracing(context.active()), work);
    stack.add(name, startLoop(intervalMs, intervalMs / 10, quietly, { name }));
  };
  loop("look at the images", IMAGES_MS, async () => {
    try {
      if (!arePinsRight) await reconcilePins(host);
      arePinsRight = true;
      await images.refresh();
    } catch (err) {
      // Bids and creates say so to whom it matters; here it would be said for as long as the cache is away.
      if (!(err instanceof Fault && err.code === "UNAVAILABLE")) throw err;
    }
  });
  loop("look at the disk", DISK_MS, () => disk.look());
  loop("sweep the host", SWEEP_MS, async () => {
    await sweep(host, machines);
    await store.prune(host.clock.now() - TOMBSTONE_MS);
    // Anew each time: a removal may have failed to drop its pin.
    arePinsRight = false;
  });
}

/** Says where this host is to every api, again and again. */
export function startAnnouncing(
  stack: Stack,
  apis: readonly ReportsApi[],
  request: AnnounceHostRequest,
): void {
  for (const api of apis) {
    let lastReason: string | undefined;
    const announce = async (): Promise<void> => {
      try {
        await api.announce(request);
        lastReason = undefined;
      } catch (error) {
        const reason = error instanceof Fault ? error.reason : "INTERNAL";
        const isNews = reason !== lastReason;
        lastReason = reason;
        if (!isNews) return;
        const level = reason === "HOST_NUMBER_TAKEN" ? "error" : "warn";
        logger[level]("an api could not be told of this host", { api: api.address, reason, error });
      }
    };
    stack.add("announcements", startLoop(ANNOUNCE_MS, ANNOUNCE_MS / 10, announce, { name: "announce" }));
  }
}
