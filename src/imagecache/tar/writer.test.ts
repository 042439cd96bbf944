import fc from "fast-check";
import { expect, test } from "vitest";
import { readTar } from "../../../test/support/imagecache/read-tar.ts";
import { writeTar } from "../../../test/support/oci/index.ts";
import type { TarEntry } from "./entry.ts";
import { encodeEntry, paddingOf, TAR_END } from "./writer.ts";

test("what we write we read back, whatever it is", { timeout: 30_000 }, () => {
  const text = (maxLength: number) =>
    fc.string({ minLength: 1, maxLength, unit: fc.constantFrom("a", "b", "\u00ff", "\n", "=") });
  const entry: fc.Arbitrary<TarEntry> = fc.record({
    path: text(300),
    type: fc.constantFrom("file" as const, "symlink" as const, "char" as const, "fifo" as const),
    mode: fc.nat(0o7777),
    uid: fc.nat(2 ** 32 - 2),
    gid: fc.nat(2 ** 32 - 2),
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
      const [back] = readTar(
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
  const entry = readTar(writeTar([{ path: "a" }]))[0];
  if (!entry) throw new Error("unreachable");

  const [back] = readTar(Buffer.concat([encodeEntry({ ...entry, xattrs }, "a"), TAR_END]));

  expect(back?.xattrs.list.map(([key]) => key)).toEqual(["security.capability", "user.ok"]);
});
