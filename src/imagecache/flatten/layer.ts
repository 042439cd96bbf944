/** A layer, which can be read repeatedly. */
export interface Layer {
  readonly size: number;
  /**
   * Yields the unpacked bytes.
   *
   * @param verify throws at the end when they do not match the digest in the image's configuration
   */
  read(verify: boolean): AsyncIterable<Buffer>;
  about(err: unknown): unknown;
}

/** Reports progress: bytes unpacked and layers done since the last call. */
export type OnRead = (bytes: number, layersDone: number) => void;
