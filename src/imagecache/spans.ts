/** Attributes of the image cache's own spans. */
export const span = {
  /** Digest of the layer. */
  layer: "windhover.image.layer",
  /** Layers of the image. */
  layers: "windhover.image.layers",
  /** Names in the root file system. */
  entries: "windhover.image.entries",
  /** Whether the layer was in the cache. */
  blobCached: "windhover.image.layer_cached",
  /** Size of layers as they travel. */
  compressedBytes: "windhover.bytes.compressed",
  /** Bytes that came over the network. */
  receivedBytes: "windhover.bytes.received",
  /** Size of layers unpacked. */
  uncompressedBytes: "windhover.bytes.uncompressed",
  /** Size of the squashfs. */
  rootfsBytes: "windhover.bytes.rootfs",
} as const;
