import type { RunConfig } from "../../lib/oci/config.ts";
import type { Digest } from "../../lib/oci/digest.ts";

/** How large an image is, in bytes, in its three forms. */
export interface ImageSizes {
  /** All layers as they came over the network. */
  readonly compressedBytes: number;
  /** All layers unpacked, including what upper layers hide. */
  readonly uncompressedBytes: number;
  /** The squashfs. */
  readonly rootfsBytes: number;
  /** Files, directories, links and devices in the root file system. */
  readonly entries: number;
  readonly layers: number;
}

/** An image that is local and ready to boot. */
export interface Image {
  readonly digest: Digest;
  /** The reference it was first pulled by. */
  readonly reference: string;
  /** Absolute path of its squashfs. */
  readonly rootfsPath: string;
  readonly config: RunConfig;
  readonly sizes: ImageSizes;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
}

/** An image with what changes about it. */
export interface ImageView extends Image {
  /** Milliseconds since the epoch; precise to a minute. */
  readonly lastUseMs: number;
  /** Who pins it, sorted. */
  readonly owners: readonly string[];
}

/** What a pull is doing. */
export type Phase = "queued" | "resolving" | "downloading" | "flattening" | "squashing";

/** How far a pull has come; the figures are those of the present phase and never go back within it. */
export interface Progress {
  readonly phase: Phase;
  readonly bytesDone: number;
  /** 0 while unknown. */
  readonly bytesTotal: number;
  readonly layersDone: number;
  readonly layersTotal: number;
}
