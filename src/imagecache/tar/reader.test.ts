import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readEntry, readTar } from "../../../test/support/imagecache/read-tar.ts";
import { writeTar } from "../../../test/support/oci/index.ts";

describe("an entry", () => {
  test("comes with all its attributes", () => {
    const entry = readEntry({ path: "a/b", content: "hi", mode: 0o4755, uid: 7, gid: 8, mtime: 1_234_567 });

    expect(entry).toMatchObject({
      path: "a/b",
      type: "file",
      mode: 0o4755,
      uid: 7,
      gid: 8,
      size: 2,
      mtime: 1_234_567,
    });
    expect(entry?.content.toString()).toBe("hi");
  });

  test.each(["pax", "gnu"] as const)(
    "may have names longer than a header holds, written the %s way",
    (longNames) => {
      const entry = readEntry({
        path: `d/${"x".repeat(250)}`,
        type: "symlink",
        link: "y".repeat(2000),
        longNames,
      });

      expect(entry).toMatchObject({ path: `d/${"x".repeat(250)}`, type: "symlink", link: "y".repeat(2000) });
    },
  );

  test("keeps names that are not UTF-8 byte for byte", () => {
    const path = Buffer.from([0x66, 0xff, 0x80, 0x6f]);

    expect(Buffer.from(readEntry({ path })?.path ?? "", "latin1").equals(path)).toBe(true);
  });

  test("may have numbers too large for octal digits, and times before the epoch", () => {
    expect(readEntry({ path: "a", uid: 4_000_000_000, gid: 3_000_000, mtime: -5 })).toMatchObject({
      uid: 4_000_000_000,
      gid: 3_000_000,
      mtime: -5,
    });
  });

  test("with an owner and a group that Linux has not belong to root, as when others unpack them", () => {
    expect(readEntry({ path: "a", uid: 2 ** 32 - 1, gid: 2 ** 32 - 1 })).toMatchObject({ uid: 0, gid: 0 });
    expect(readEntry({ path: "a", uid: 2 ** 32 - 2 })).toMatchObject({ uid: 2 ** 32 - 2 });
  });

  test.each([4_096, 2 ** 40, -1])(
    "of a device may not have the major number %d, which does not fit",
    (major) => {
      expect(() => readEntry({ path: "dev/x", typeflag: "3", major })).toThrow(
        expect.objectContaining({ reason: "LAYER_CORRUPT" }),
      );
      expect(readEntry({ path: "dev/x", typeflag: "0", major })?.major).toBe(0);
    },
  );

  test("is a directory when its name ends with a slash, as before there were types", () => {
    expect(readEntry({ path: "old/", typeflag: "0" })?.type).toBe("dir");
  });
});

describe("an archive", () => {
  test("ends with two blocks of zeros, and what follows does not count", () => {
    const tar = Buffer.concat([writeTar([{ path: "a" }]), Buffer.alloc(700, 1)]);

    expect(readTar(tar).map((e) => e.path)).toEqual(["a"]);
  });

  test.each([0, 512])("may also end with %d bytes of zeros, or be empty", (zeros) => {
    expect(readTar(Buffer.concat([writeTar([{ path: "a" }], false), Buffer.alloc(zeros)]))).toHaveLength(1);
    expect(readTar(Buffer.alloc(zeros))).toEqual([]);
  });

  test("that is cut anywhere else is truncated", () => {
    const tar = writeTar([{ path: "x".repeat(200), content: "y".repeat(1000) }], false);
    for (const length of [1, 511, 513, 1024, 1600, tar.length - 600]) {
      expect(() => readTar(tar.subarray(0, length)), String(length)).toThrow(
        expect.objectContaining({ reason: "LAYER_TRUNCATED" }),
      );
    }
  });

  const sealed = (change: (block: Buffer) => void) => {
    const tar = writeTar([{ path: "a", content: "x" }]);
    change(tar);
    return tar;
  };
  test.each([
    ["a wrong checksum", sealed((b) => b.write("b", 0))],
    ["random bytes", Buffer.alloc(1024, 0x41)],
    ["an unknown type", writeTar([{ path: "a", typeflag: "Z" }])],
    ["a malformed extended header", writeTar([{ path: "a", typeflag: "x", content: "nonsense" }])],
    ["a size that is no number", writeTar([{ path: "a", pax: { size: "many" } }])],
    ["an owner that no system knows", writeTar([{ path: "a", uid: 2 ** 33 }])],
    ["a name with a zero byte", writeTar([{ path: "a", pax: { path: Buffer.from("a\0b") } }])],
    ["a name of 5000 bytes", writeTar([{ path: "x/".repeat(2500) }])],
    ["data after a block of zeros", Buffer.concat([Buffer.alloc(512), writeTar([{ path: "a" }])])],
  ])("with %s is corrupt", (_, tar) => {
    expect(() => readTar(tar)).toThrow(expect.objectContaining({ reason: "LAYER_CORRUPT" }));
  });

  test("reads the same in whatever pieces it arrives", { timeout: 30_000 }, () => {
    const entry = fc.record({
      path: fc.string({ minLength: 1, maxLength: 200, unit: fc.constantFrom("a", "/", "é", ".") }),
      content: fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
      xattrs: fc.dictionary(fc.constantFrom("user.a", "user.b"), fc.string({ maxLength: 20 })),
      longNames: fc.constantFrom("pax" as const, "gnu" as const),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), fc.integer({ min: 1, max: 1500 }), (entries, piece) => {
        const tar = writeTar(entries);
        expect(readTar(tar, piece)).toEqual(readTar(tar));
      }),
      { numRuns: 60 },
    );
  });
});
