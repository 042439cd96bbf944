import { describe, expect, test } from "vitest";
import { readEntry, readTar } from "../../../test/support/imagecache/read-tar.ts";
import { type TarEntry, writeTar } from "../../../test/support/oci/index.ts";

describe("an entry after an extended header", () => {
  test("keeps extended attributes byte for byte", () => {
    const value = Buffer.from([1, 0, 255, 10, 61, 0]);
    const entry = readEntry({ path: "a", xattrs: { "security.capability": value, "user.x": "" } });

    expect(entry?.xattrs.list).toEqual([
      ["security.capability", value],
      ["user.x", Buffer.alloc(0)],
    ]);
  });

  test("reads libarchive's way of writing attributes when there is no other", () => {
    const pax = {
      "LIBARCHIVE.xattr.user.a%3Db": "AQI",
      "SCHILY.xattr.user.c": "plain",
      "LIBARCHIVE.xattr.user.c": "eA",
    };

    expect(readEntry({ path: "a", pax })?.xattrs.list).toEqual([
      ["user.a=b", Buffer.from([1, 2])],
      ["user.c", Buffer.from("plain")],
    ]);
  });

  test("takes size, owner and time from that first, and cuts fractions off", () => {
    const pax = { size: "3", uid: "5", gid: "6", mtime: "12.9" };
    const entry = readEntry({ path: "a", content: "abc", claimedSize: 0, pax });

    expect(entry).toMatchObject({ size: 3, uid: 5, gid: 6, mtime: 12 });
    expect(entry?.content.toString()).toBe("abc");
  });

  test("does not inherit what one said of the entry before", () => {
    const entries = readTar(writeTar([{ path: "a".repeat(150), xattrs: { "user.x": "1" } }, { path: "b" }]));

    expect(entries[1]).toMatchObject({ path: "b", xattrs: { list: [], bytes: 0 } });
  });

  test("shares the attributes of a global header with all others instead of copying them", () => {
    const entries = readTar(globalTar({ "SCHILY.xattr.user.x": "1", "GNU.sparse.map": "0,0" }));

    expect(entries.map(({ path }) => path)).toEqual(["a", "b"]);
    expect(entries[0]?.xattrs.list).toEqual([["user.x", Buffer.from("1")]]);
    expect(entries[1]?.xattrs).toBe(entries[0]?.xattrs);
  });
});

/** Two files after a global header with these records. */
function globalTar(pax: Readonly<Record<string, string>>): Buffer {
  const records = writeTar([{ path: "g", pax }], false);
  // An extended header of one entry differs from a global one in a letter and in the checksum.
  const global = records.subarray(0, records.length - 512);
  global.write("g", 156);
  global.fill(32, 148, 156);
  const sum = global.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  global.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([global, writeTar([{ path: "a" }, { path: "b" }])]);
}

describe("what is multiplied", () => {
  const many = (count: number, value = "") =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`user.${i}`, value]));
  const special = (typeflag: string): TarEntry => ({ path: "h", typeflag, content: "" });
  test.each<[string, TarEntry[], string]>([
    ["257 attributes", [{ path: "a", xattrs: many(257) }], "256 extended attributes"],
    [
      "an attribute with a name of 256 bytes",
      [{ path: "a", xattrs: { ["x".repeat(256)]: "" } }],
      "255 bytes",
    ],
    ["attributes of 50 KiB together", [{ path: "a", xattrs: many(10, "x".repeat(5_000)) }], "49152 bytes"],
    ["101 extended headers before an entry", Array.from({ length: 101 }, () => special("x")), "100 headers"],
    ["an extended header without end", [{ ...special("x"), claimedSize: 2 ** 30 }], "1048576 bytes"],
  ])("is refused: %s", (_, entries, limit) => {
    expect(() => readTar(writeTar(entries))).toThrow(
      expect.objectContaining({
        reason: "LAYER_TOO_LARGE",
        facts: { limit: expect.stringContaining(limit), value: expect.any(String) },
      }),
    );
  });

  test("is allowed up to the limit: 256 attributes", () => {
    expect(readEntry({ path: "a", xattrs: many(256) })?.xattrs.list).toHaveLength(256);
  });
});
