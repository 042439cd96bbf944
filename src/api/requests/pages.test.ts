import fc from "fast-check";
import { expect, test } from "vitest";
import { type PagedList, readPage } from "./pages.ts";

const MIB = 1024 * 1024;

/** A list of items that are their own sizes, and how many are read at once. */
function listOf(sizes: readonly number[], reads: number[] = []): PagedList<number, number> {
  return {
    name: "numbers",
    keyForms: ["name"],
    keysOf: (index) => [String(index)],
    read(after, limit) {
      const from = after ? Number(after[0]) + 1 : 0;
      const found = sizes.map((_, index) => index).slice(from, from + limit);
      reads.push(found.length);
      return found;
    },
    toProto: (index) => index,
    bytesOf: (index) => sizes[index] ?? 0,
  };
}

async function allPages(sizes: readonly number[], pageSize: number): Promise<number[][]> {
  const pages: number[][] = [];
  let pageToken = "";
  do {
    const page = await readPage({ pageSize, pageToken }, listOf(sizes));
    pages.push(page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return pages;
}

test("whatever the sizes, pages have each item once, in order, and end before 3 MiB and the page size", async () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: 2 * MIB }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(size, { maxLength: 300 }),
      fc.integer({ min: 1, max: 1_000 }),
      async (sizes, pageSize) => {
        const pages = await allPages(sizes, pageSize);

        expect(pages.flat()).toEqual(sizes.map((_, index) => index));
        for (const page of pages) {
          expect(page.length).toBeLessThanOrEqual(pageSize);
          const bytes = page.reduce((sum, index) => sum + (sizes[index] ?? 0), 0);
          if (page.length > 1) expect(bytes).toBeLessThan(3 * MIB);
        }
        if (sizes.length > 0) expect(pages.every((page) => page.length > 0)).toBe(true);
      },
    ),
  );
});

test("a default page of small items is one read, and little more is read than a page of large ones takes", async () => {
  const reads: number[] = [];
  await readPage({ pageSize: 0, pageToken: "" }, listOf(Array(500).fill(100), reads));
  expect(reads).toEqual([101]);

  reads.length = 0;
  const { items } = await readPage(
    { pageSize: 1_000, pageToken: "" },
    listOf(Array(500).fill(20_000), reads),
  );
  const total = reads.reduce((sum, count) => sum + count, 0);
  expect(items.length).toBeGreaterThan(100);
  expect(total).toBeLessThan(items.length + 101);
});

test("a token of another list is refused", async () => {
  const { nextPageToken } = await readPage({ pageSize: 1, pageToken: "" }, listOf([1, 2]));
  const other = { ...listOf([1, 2]), name: "others" };

  await expect(readPage({ pageSize: 1, pageToken: nextPageToken }, other)).rejects.toMatchObject({
    reason: "INVALID_FIELDS",
  });
});
