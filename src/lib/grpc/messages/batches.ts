/** Bytes of a list in one message. Stock clients take messages of 4 MiB. */
export const MAX_LIST_BYTES = 3 * 1024 * 1024;
/** More than the tag and the length of an item of a repeated field take. */
const ITEM_OVERHEAD_BYTES = 6;

/**
 * Takes items from the front while they fit into a message. Takes the first one whatever its size.
 *
 * @param bytesOf encoded size of an item
 */
export function takeBytes<T>(items: Iterable<T>, maxBytes: number, bytesOf: (item: T) => number): T[] {
  const taken: T[] = [];
  let bytes = 0;
  for (const item of items) {
    bytes += bytesOf(item) + ITEM_OVERHEAD_BYTES;
    if (bytes > maxBytes && taken.length > 0) break;
    taken.push(item);
  }
  return taken;
}
