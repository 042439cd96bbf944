import type { Limits } from "../flatten/limits.ts";

// What the image cache and the process that builds an image send each other, as lines of JSON.

/** First line to the process. */
export interface Job {
  /** Path of the squashfs, an empty file. */
  readonly output: string;
  readonly layers: readonly JobLayer[];
  readonly limits: Limits;
  /** For tar2sqfs. */
  readonly memoryBytes: number;
}

export interface JobLayer {
  /** Open for reading. */
  readonly fd: number;
  readonly size: number;
  /** Digest of the unpacked layer, from the image's configuration. */
  readonly diffId: string;
}

/** Second line to the process, after `planned`. */
export interface Permission {
  /** Of the squashfs. */
  readonly maxBytes: number;
}

/** A line from the process. */
export type Report =
  /** It runs: from now on a crash is the image's fault. */
  | { readonly kind: "started" }
  /** Since the last one: bytes unpacked, layers read. */
  | { readonly kind: "progress"; readonly bytes: number; readonly layers: number }
  | ({ readonly kind: "planned" } & Planned)
  | { readonly kind: "done" }
  | ({ readonly kind: "failed" } & Failure);

/** What the first reading of the layers has found. */
export interface Planned {
  /** Of all layers unpacked. */
  readonly bytes: number;
  readonly entries: number;
  /** Most that the squashfs can take. */
  readonly maxRootfsBytes: number;
}

export interface Failure {
  /** Reason of a fault, or `UNKNOWN`. */
  readonly reason: string;
  /** Continues "image X, layer N: ". */
  readonly message: string;
  /** `layer_index` when a layer is at fault. */
  readonly facts: Readonly<Record<string, string>>;
}

/** First of the descriptors of layers. */
export const FIRST_LAYER_FD = 3;
