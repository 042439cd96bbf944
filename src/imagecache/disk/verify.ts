import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../lib/oci/digest.ts";
import { logger } from "../../lib/runtime/log.ts";
import { hashFile, isMissing } from "./files.ts";
import type { ImageFiles } from "./image-files.ts";

/** After each MiB: leaves the disk to others nine tenths of the time, and still gets through 50 MB a second. */
const PAUSE_MS = 20;

/**
 * Reads every image once, slowly, and compares it with the digest from when it was made. A damaged one counts as not
 * being here from then on, so that whoever needs it has it made anew; unless in use, its files go.
 */
export async function verifyImages(
  images: ImageFiles,
  isNeeded: (digest: Digest) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const { digest, rootfsPath, sizes } of images.all()) {
    const expected = images.rootfsDigest(digest);
    const pause = () => sleep(PAUSE_MS, undefined, { signal });
    let actual: Digest | undefined;
    try {
      actual = await hashFile(rootfsPath, signal, sizes.rootfsBytes, pause);
    } catch (err) {
      if (signal.aborted) return;
      if (!isMissing(err)) logger.warn("an image could not be read", { digest, error: err });
    }
    // Made anew or evicted meanwhile.
    if (actual === expected || images.rootfsDigest(digest) !== expected) continue;
    logger.error("an image is damaged and will be made anew when it is needed", {
      digest,
      path: rootfsPath,
      actual,
    });
    if (isNeeded(digest)) images.forget(digest);
    else await images.remove(digest);
  }
}
