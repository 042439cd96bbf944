import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../lib/oci/digest.ts";
import { logger } from "../../lib/runtime/log.ts";
import { hashFile, isMissing } from "./files.ts";
import type { ImageStore } from "./image-store.ts";

/** After each MiB: leaves the disk idle nine tenths of the time, and still reads 50 MB/s. */
const PAUSE_MS = 20;

/**
 * Reads every image slowly and compares it with its digest. Removes a damaged one, or only forgets it
 * while it is in use, so that it is built anew.
 */
export async function verifyImages(
  images: ImageStore,
  isInUse: (digest: Digest) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const { digest, rootfsPath: path, sizes } of images.all()) {
    const expected = images.rootfsDigest(digest);
    const pause = () => sleep(PAUSE_MS, undefined, { signal });
    let actual: Digest | undefined;
    try {
      actual = await hashFile(path, signal, sizes.rootfsBytes, pause);
    } catch (err) {
      if (signal.aborted) return;
      if (!isMissing(err)) logger.warn("an image could not be read", { digest, error: err });
    }
    // The image may have been built anew or evicted meanwhile.
    if (actual === expected || images.rootfsDigest(digest) !== expected) continue;
    logger.error("an image is damaged and will be built anew", { digest, path, actual });
    if (isInUse(digest)) images.forget(digest);
    else await images.remove(digest);
  }
}
