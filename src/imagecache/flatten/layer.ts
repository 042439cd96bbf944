/** A layer to be read twice. */
export interface Layer {
  /** Compressed, in bytes. */
  readonly size: number;
  /**
   * Its unpacked bytes.
   *
   * @param verify checks them against the digest in the image's configuration; throws at the end when they differ
   */
  read(verify: boolean): AsyncIterable<Buffer>;
  /** Adds to a fault which layer it is about. */
  about(err: unknown): unknown;
}

/** Hears how far reading has come: bytes unpacked since the last time, and layers done. */
export type OnRead = (bytes: number, layersDone: number) => void;
