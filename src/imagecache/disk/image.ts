import type { Digest } from "../../lib/oci/digest.ts";
import type { RunConfig } from "../../lib/oci/image/config.ts";
import type { Sample } from "./sample.ts";

export interface ImageSizes {
  /** All layers, compressed. */
  readonly compressedBytes: number;
  /** All layers unpacked, including what upper layers hide. */
  readonly uncompressedBytes: number;
  readonly rootfsBytes: number;
  /** Files, directories, links and devices in the root file system. */
  readonly entries: number;
  readonly layers: number;
}

/** An image that is ready to boot. */
export interface Image {
  readonly digest: Digest;
  /** The reference that it was first pulled by. */
  readonly reference: string;
  /** Absolute path of its squashfs. */
  readonly rootfsPath: string;
  readonly config: RunConfig;
  readonly sizes: ImageSizes;
  /** Samples of its layers, by digest. Absent: of an older version. */
  readonly samples?: Readonly<Record<Digest, readonly Sample[]>>;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
}

export interface ImageView extends Image {
  /** Milliseconds since the epoch, to a minute. */
  readonly lastUseMs: number;
  /** Sorted. */
  readonly owners: readonly string[];
}
