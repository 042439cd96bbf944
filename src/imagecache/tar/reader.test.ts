import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TarEntry as Entry, writeTar } from "../../../test/support/oci/index.ts";
import type { TarEntry } from "./entry.ts";
import { TarReader } from "./reader.ts";
import { encodeEntry, paddingOf, TAR_END } from "./writer.ts";

interface Read extends TarEntry {
  content: Buffer;
}

/** Reads an archive that arrives in pieces of a size. */
function read(tar: Buffer, piece = tar.length): Read[] {
  const reader = new TarReader();
  const found: { entry: TarEntry; parts: Buffer[] }[] = [];
  for (let at = 0; at < tar.length; at += piece) {
    for (const event of reader.push(tar.subarray(at, at + piece))) {
      if (event.kind === "entry") found.push({ entry: event.entry, parts: [] });
      else
        found
          .at(-1)
          ?.parts.push(event.kind === "data" ? Buffer.from(event.bytes) : Buffer.alloc(event.length));
    }
  }
  reader.finish();
  return found.map(({ entry, parts }) => ({ ...entry, content: Buffer.concat(parts) }));
}

const readOne = (entry: Entry) => read(writeTar([entry]))[0];

describe("an entry", () => {
  test("comes with all its attributes", () => {
    const entry = readOne({ path: "a/b", content: "hi", mode: 0o4755, uid: 7, gid: 8, mtime: 1_234_567 });

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
      const entry = readOne({
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

    expect(Buffer.from(readOne({ path })?.path ?? "", "latin1").equals(path)).toBe(true);
  });

  test("keeps extended attributes byte for byte", () => {
    const value = Buffer.from([1, 0, 255, 10, 61, 0]);
    const entry = readOne({ path: "a", xattrs: { "security.capability": value, "user.x": "" } });

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

    expect(readOne({ path: "a", pax })?.xattrs.list).toEqual([
      ["user.a=b", Buffer.from([1, 2])],
      ["user.c", Buffer.from("plain")],
    ]);
  });

  test("may have numbers too large for octal digits, and times before the epoch", () => {
    expect(readOne({ path: "a", uid: 4_000_000_000, gid: 3_000_000, mtime: -5 })).toMatchObject({
      uid: 4_000_000_000,
      gid: 3_000_000,
      mtime: -5,
    });
  });

  test("takes size, owner and time from an extended header first, and cuts fractions off", () => {
    const pax = { size: "3", uid: "5", gid: "6", mtime: "12.9" };
    const entry = readOne({ path: "a", content: "abc", claimedSize: 0, pax });

    expect(entry).toMatchObject({ size: 3, uid: 5, gid: 6, mtime: 12 });
    expect(entry?.content.toString()).toBe("abc");
  });

  test("does not inherit what an extended header said of the one before", () => {
    const entries = read(writeTar([{ path: "a".repeat(150), xattrs: { "user.x": "1" } }, { path: "b" }]));

    expect(entries[1]).toMatchObject({ path: "b", xattrs: { list: [], bytes: 0 } });
  });

  test("shares the attributes of a global header with all others instead of copying them", () => {
    const entries = read(globalTar({ "SCHILY.xattr.user.x": "1", "GNU.sparse.map": "0,0" }));

    expect(entries.map(({ path }) => path)).toEqual(["a", "b"]);
    expect(entries[0]?.xattrs.list).toEqual([["user.x", Buffer.from("1")]]);
    expect(entries[1]?.xattrs).toBe(entries[0]?.xattrs);
  });

  test("is a directory when its name ends with a slash, as before there were types", () => {
    expect(readOne({ path: "old/", typeflag: "0" })?.type).toBe("dir");
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
  const special = (typeflag: string): Entry => ({ path: "h", typeflag, content: "" });
  test.each<[string, Entry[], string]>([
    ["257 attributes", [{ path: "a", xattrs: many(257) }], "256 extended attributes"],
    [
      "an attribute with a name of 256 bytes",
      [{ path: "a", xattrs: { ["x".repeat(256)]: "" } }],
      "255 bytes",
    ],
    ["attributes of 50 KiB together", [{ path: "a", xattrs: many(10, "x".repeat(5_000)) }], "49152 bytes"],
    ["101 extended headers before an entry", Array.from({ length: 101 }, () => special("x")), "100 headers"],
    ["an extended header without end", [{ ...special("x"), claimedSize: 2 ** 30 }], "1048576 bytes"],
    [
      "more fragments of a sparse file than memory should hold",
      [{ path: "s", sparse: { format: "gnu-old", size: 200_000, chunks: fragments(100_001) } }],
      "100000 fragments",
    ],
  ])("is refused: %s", (_, entries, limit) => {
    expect(() => read(writeTar(entries))).toThrow(
      expect.objectContaining({
        reason: "LAYER_TOO_LARGE",
        facts: { limit: expect.stringContaining(limit), value: expect.any(String) },
      }),
    );
  });

  test("is allowed up to the limit: 256 attributes", () => {
    expect(readOne({ path: "a", xattrs: many(256) })?.xattrs.list).toHaveLength(256);
  });

  function fragments(count: number) {
    return Array.from({ length: count }, (_, offset) => ({ offset, data: Buffer.alloc(0) }));
  }
});

describe("a sparse file", () => {
  const chunks = Array.from({ length: 30 }, (_, i) => ({
    offset: 2048 * i + 512,
    data: Buffer.alloc(700, 65 + i),
  }));
  const whole = Buffer.alloc(100_000);
  for (const { offset, data } of chunks) data.copy(whole, offset);

  test.each(["gnu-old", "pax-0.0", "pax-0.1", "pax-1.0"] as const)(
    "of the dialect %s is put together",
    (format) => {
      const tar = writeTar([
        { path: "s", sparse: { format, size: 100_000, chunks } },
        { path: "next", content: "n" },
      ]);

      for (const piece of [tar.length, 512, 1000]) {
        const [sparse, next] = read(tar, piece);
        expect(sparse).toMatchObject({ path: "s", size: 100_000 });
        expect(sparse?.content.equals(whole)).toBe(true);
        expect(next?.content.toString()).toBe("n");
      }
    },
  );

  test("may be nothing but a hole", () => {
    const [sparse, next] = read(
      writeTar([{ path: "s", sparse: { format: "pax-1.0", size: 5000, chunks: [] } }, { path: "n" }]),
    );

    expect(sparse?.content.equals(Buffer.alloc(5000))).toBe(true);
    expect(next?.path).toBe("n");
  });

  test("is refused when its map is out of order or reaches beyond its end", () => {
    const data = Buffer.alloc(512);
    const wrong = [
      [
        { offset: 2048, data },
        { offset: 0, data },
      ],
      [{ offset: 4096, data }],
    ];
    for (const chunks of wrong) {
      const tar = writeTar([{ path: "s", sparse: { format: "pax-0.1", size: 4096, chunks } }]);
      expect(() => read(tar)).toThrow(expect.objectContaining({ reason: "LAYER_CORRUPT" }));
    }
  });
});

describe("an archive", () => {
  test("ends with two blocks of zeros, and what follows does not count", () => {
    const tar = Buffer.concat([writeTar([{ path: "a" }]), Buffer.alloc(700, 1)]);

    expect(read(tar).map((e) => e.path)).toEqual(["a"]);
  });

  test.each([0, 512])("may also end with %d bytes of zeros, or be empty", (zeros) => {
    expect(read(Buffer.concat([writeTar([{ path: "a" }], false), Buffer.alloc(zeros)]))).toHaveLength(1);
    expect(read(Buffer.alloc(zeros))).toEqual([]);
  });

  test("that is cut anywhere else is truncated", () => {
    const tar = writeTar([{ path: "x".repeat(200), content: "y".repeat(1000) }], false);
    for (const length of [1, 511, 513, 1024, 1600, tar.length - 600]) {
      expect(() => read(tar.subarray(0, length)), String(length)).toThrow(
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
    expect(() => read(tar)).toThrow(expect.objectContaining({ reason: "LAYER_CORRUPT" }));
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
        expect(read(tar, piece)).toEqual(read(tar));
      }),
      { numRuns: 60 },
    );
  });
});

test("what we write we read back, whatever it is", { timeout: 30_000 }, () => {
  const text = (maxLength: number) =>
    fc.string({ minLength: 1, maxLength, unit: fc.constantFrom("a", "b", "\u00ff", "\n", "=") });
  const entry: fc.Arbitrary<TarEntry> = fc.record({
    path: text(300),
    type: fc.constantFrom("file" as const, "symlink" as const, "char" as const, "fifo" as const),
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 32 - 1),
    gid: fc.nat(2 ** 32 - 1),
    size: fc.constant(0),
    mtime: fc.nat(2 ** 32 - 1),
    link: text(300),
    major: fc.nat(4095),
    minor: fc.nat(2 ** 20 - 1),
    xattrs: fc
      .uniqueArray(text(20), { maxLength: 3 })
      .map((names) =>
        names.filter((n) => !n.includes("=")).map((n) => [`user.${n}`, Buffer.from(n, "latin1")] as const),
      )
      .map((list) => ({ list, bytes: list.reduce((sum, [n, value]) => sum + n.length + value.length, 0) })),
  });
  fc.assert(
    fc.property(entry, (made) => {
      const device = made.type === "char";
      const original = {
        ...made,
        link: made.type === "symlink" ? made.link : "",
        major: device ? made.major : 0,
        minor: device ? made.minor : 0,
      };
      const [back] = read(
        Buffer.concat([encodeEntry(original, original.path), Buffer.alloc(paddingOf(0)), TAR_END]),
      );
      const list = original.xattrs.list.toSorted(([a], [b]) => (a < b ? -1 : 1));
      const xattrs = { ...original.xattrs, list };
      expect(back).toEqual({ ...original, path: `./${original.path}`, xattrs, content: Buffer.alloc(0) });
    }),
    { numRuns: 200 },
  );
});

test("attributes a squashfs cannot hold, or that the guest's overlay would obey, are left out", () => {
  const keys = [
    "user.ok",
    "security.capability",
    "system.posix_acl_access",
    "trusted.overlay.opaque",
    "user.overlay.redirect",
  ];
  const xattrs = { list: keys.map((key) => [key, Buffer.from("y")] as const), bytes: 0 };
  const entry = read(writeTar([{ path: "a" }]))[0];
  if (!entry) throw new Error("unreachable");

  const [back] = read(Buffer.concat([encodeEntry({ ...entry, xattrs }, "a"), TAR_END]));

  expect(back?.xattrs.list.map(([key]) => key)).toEqual(["security.capability", "user.ok"]);
});
