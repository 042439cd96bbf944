import { anonymous, authFile } from "../lib/oci/credentials.ts";
import type { Digest } from "../lib/oci/digest.ts";
import { RegistryClient } from "../lib/oci/registry.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "../lib/oci/retry.ts";
import { type Clock, systemClock } from "../lib/runtime/clock.ts";
import { startLoop } from "../lib/runtime/lifecycle.ts";
import { CacheDir } from "./disk/cache-dir.ts";
import { ImageFiles } from "./disk/image-files.ts";
import { PinFiles } from "./disk/pin-files.ts";
import { Pins } from "./disk/pins.ts";
import { Room } from "./disk/room.ts";
import { verifyImages } from "./disk/verify.ts";
import type { Limits } from "./flatten/limits.ts";
import { Images } from "./images.ts";
import { measurePull } from "./metrics.ts";
import { Blobs } from "./pulls/blobs.ts";
import { Puller } from "./pulls/puller.ts";

/** What an image cache is told. */
export interface CacheOptions {
  /** Absolute. */
  readonly dir: string;
  readonly budgetBytes: number;
  readonly limits: Limits;
  readonly authFile: string | undefined;
  readonly insecure: readonly string[];
  readonly retry?: RetryPolicy;
  readonly clock?: Clock;
}

/** Everything but the wire. */
export interface Cache {
  readonly images: Images;
  readonly room: Room;
  /** Breaks pulls off and gives the directory up. */
  close(): Promise<void>;
}

/** Images do not rot in a day. */
const VERIFY_EVERY_MS = 24 * 60 * 60 * 1000;

/** Opens the cache in a directory: takes it over, finds what is there, and puts the parts together. */
export async function openCache(options: CacheOptions): Promise<Cache> {
  const { limits, clock = systemClock, retry = DEFAULT_RETRY, insecure } = options;
  const dir = await CacheDir.open(options.dir);
  const pinFiles = new PinFiles(dir.pins);
  const pins = new Pins(pinFiles, await pinFiles.load());
  const files = new ImageFiles(dir, clock);
  await files.load((digest) => pins.owners(digest).length > 0);

  const credentials = options.authFile === undefined ? anonymous : authFile(options.authFile);
  const client = new RegistryClient({ credentials, insecure, retry, clock });
  const blobs = new Blobs(dir, client, retry);
  const isNeeded = (digest: Digest) => images.isNeeded(digest);
  const room = new Room(dir, files, options.budgetBytes, isNeeded);
  const puller = new Puller({ dir, client, blobs, room, images: files, limits, clock });
  const images = new Images(files, pins, (ref, digest, report, signal) =>
    measurePull(() => puller.pull(ref, digest, report, signal), signal),
  );

  // A smaller budget than last time takes effect now.
  await room.make(0);
  const verify = (signal: AbortSignal) => verifyImages(files, isNeeded, signal);
  const stopVerifying = startLoop(VERIFY_EVERY_MS, 0, verify, { name: "verify images" });
  return {
    images,
    room,
    close: async () => {
      await stopVerifying();
      await images.close();
      await blobs.close();
      client.close();
      await dir.close();
    },
  };
}
