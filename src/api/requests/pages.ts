import { MAX_LIST_BYTES } from "../../lib/grpc/messages/batches.ts";
import { decodePageToken, encodePageToken, type KeyForm, pageSize } from "./page-token.ts";

/** Read at once at first: the default page and one more, of items that may be large. */
const FIRST_READ = 101;
const MAX_READ = 1_000;
/** For the page token, and for each item more than its tag and length take. */
const TOKEN_BYTES = 2_048;
const ITEM_BYTES = 6;

/** A list that is read by pages. */
export interface PagedList<Item, Wire> {
  /** Names the list and its filters: tokens of another list are refused. */
  readonly name: string;
  /** Forms of the keys of an item's position. */
  readonly keyForms: readonly KeyForm[];
  keysOf(item: Item): readonly string[];
  /** Reads items after a position, in order. @param after undefined: from the beginning */
  read(after: readonly string[] | undefined, limit: number): Promise<readonly Item[]> | readonly Item[];
  toProto(item: Item): Wire;
  /** Returns the encoded size of an item. */
  bytesOf(item: Wire): number;
}

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<Wire> {
  readonly items: Wire[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/**
 * Reads a page: as many items as were asked for, or as fit into 3 MiB. A stock client takes messages of 4 MiB. Large items
 * are read in parts, so that no more than a page of them is in memory.
 *
 * @param maxSize cuts the size that was asked for
 * @throws Fault INVALID_FIELDS
 */
export async function readPage<Item, Wire>(
  request: PageRequest,
  list: PagedList<Item, Wire>,
  maxSize?: number,
): Promise<Page<Wire>> {
  const size = pageSize(request.pageSize, maxSize);
  let after = decodePageToken(list.name, list.keyForms, request.pageToken);
  const items: Wire[] = [];
  let bytes = TOKEN_BYTES;
  const ends = () => ({ items, nextPageToken: after ? encodePageToken(list.name, after) : "" });
  for (let limit = FIRST_READ; ; limit = fitting(bytes, items.length)) {
    // One more tells whether there is another page.
    const wanted = Math.min(limit, size + 1 - items.length);
    const found = await list.read(after, wanted);
    for (const item of found) {
      if (items.length === size) return ends();
      const wire = list.toProto(item);
      bytes += list.bytesOf(wire) + ITEM_BYTES;
      if (bytes > MAX_LIST_BYTES && items.length > 0) return ends();
      items.push(wire);
      after = list.keysOf(item);
    }
    if (found.length < wanted) return { items, nextPageToken: "" };
  }
}

/** Returns how many more items of the same size fit, and one. */
function fitting(bytes: number, items: number): number {
  const each = Math.max(1, bytes / Math.max(1, items));
  return Math.min(MAX_READ, Math.max(1, Math.ceil((MAX_LIST_BYTES - bytes) / each)) + 1);
}
