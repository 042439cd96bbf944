import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { extractVmlinux } from "./bzimage.ts";
import { writeCpio } from "./cpio.ts";
import { decodeLz4Legacy } from "./lz4.ts";
import { orderModules, readDependencies } from "./modules.ts";

const MAGIC = Buffer.from([0x02, 0x21, 0x4c, 0x18]);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A frame of these blocks. */
function frame(...blocks: readonly (readonly number[])[]): Buffer {
  return Buffer.concat([MAGIC, ...blocks.flatMap((block) => [word(block.length), Buffer.from(block)])]);
}

const text = (letters: string): number[] => [...Buffer.from(letters)];

describe("LZ4", () => {
  test("literals and matches come out, also those that repeat what they write", () => {
    // "abcd", then 4 + 5 bytes from 4 back; "x", then 4 + 15 + 3 bytes from 1 back; "end".
    const block = [0x45, ...text("abcd"), 4, 0, 0x1f, ...text("x"), 1, 0, 3, 0x30, ...text("end")];

    expect(decodeLz4Legacy(frame(block), 100).toString()).toBe(`abcdabcdabcda${"x".repeat(23)}end`);
  });

  test("long runs of literals have longer lengths, and blocks follow each other", () => {
    const many = "y".repeat(15 + 255 + 7);

    const decoded = decodeLz4Legacy(frame([0xf0, 255, 7, ...text(many)], [0x10, ...text("z")]), 300);

    expect(decoded.toString()).toBe(`${many}z`);
  });

  test("the size that a kernel has behind its last block is no block", () => {
    const input = Buffer.concat([frame([0x20, ...text("hi")]), word(2)]);

    expect(decodeLz4Legacy(input, 2).toString()).toBe("hi");
  });

  test.each([
    ["no frame", Buffer.from("hello, world")],
    ["a block longer than the input", Buffer.concat([MAGIC, word(100), Buffer.from([0])])],
    ["literals longer than the block", frame([0x50, ...text("ab")])],
    ["a match before the beginning", frame([0x14, ...text("a"), 9, 0, 0x10, ...text("b")])],
    ["a match from nowhere", frame([0x14, ...text("a"), 0, 0, 0x10, ...text("b")])],
    ["an offset cut short", frame([0x14, ...text("a"), 1])],
    ["a length cut short", frame([0xf0, 255])],
  ])("%s is refused", (_what, input) => {
    expect(() => decodeLz4Legacy(input, 100)).toThrow(/LZ4/);
  });
});

describe("a bzImage", () => {
  const elf = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 2, 3]);
  const payload = Buffer.concat([frame([0x70, ...elf]), word(elf.length)]);

  function image(content: Buffer): Buffer {
    const file = Buffer.alloc(1024 + 16 + content.length);
    file[0x1f1] = 1;
    file.writeUInt16LE(0xaa55, 0x1fe);
    file.write("HdrS", 0x202);
    file.writeUInt32LE(16, 0x248);
    file.writeUInt32LE(content.length, 0x24c);
    content.copy(file, 1024 + 16);
    return file;
  }

  test("yields the ELF file in it", () => {
    expect(extractVmlinux(image(payload))).toEqual(elf);
  });

  test("is refused when it is none, or holds something else", () => {
    expect(() => extractVmlinux(Buffer.alloc(4096))).toThrow("not a bzImage");
    expect(() => extractVmlinux(image(Buffer.alloc(4)))).toThrow("no payload");
    const other = Buffer.concat([frame([0x70, ...text("no elf!")]), word(7)]);
    expect(() => extractVmlinux(image(other))).toThrow("not an ELF file");
  });
});

test("a cpio archive has aligned records, the right kinds, and an end", () => {
  const archive = writeCpio([
    { path: "dev", mode: 0o755 },
    { path: "dev/console", mode: 0o600, device: [5, 1] },
    { path: "init", mode: 0o755, data: Buffer.from("hello") },
  ]);

  const found: unknown[] = [];
  for (let at = 0; at < archive.length; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    expect(archive.toString("latin1", at, at + 6)).toBe("070701");
    const nameAt = at + 110;
    const name = archive.toString("latin1", nameAt, nameAt + field(11) - 1);
    const dataAt = (nameAt + field(11) + 3) & ~3;
    found.push([
      name,
      field(1).toString(8),
      field(9),
      field(10),
      archive.toString("latin1", dataAt, dataAt + field(6)),
    ]);
    at = (dataAt + field(6) + 3) & ~3;
  }
  expect(found).toEqual([
    ["dev", "40755", 0, 0, ""],
    ["dev/console", "20600", 5, 1, ""],
    ["init", "100755", 0, 0, "hello"],
    ["TRAILER!!!", "0", 0, 0, ""],
  ]);
});

describe("modules", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "wh-modules-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  function module(name: string, needs: string): string {
    const file = join(dir, `${name}.ko`);
    writeFileSync(file, `ELF\0license=GPL\0depends=${needs}\0name=x\0`);
    return file;
  }

  test("come after all they depend on", () => {
    const files = [
      module("virtio", "virtio_ring"),
      module("virtio_ring", ""),
      module("virtio-rng", "virtio"),
      module("net", "virtio,failover"),
      module("failover", ""),
      module("unused", ""),
    ];

    const names = orderModules(["net", "virtio_rng"], files).map((file) => file.slice(dir.length + 1, -3));

    expect(names).toEqual(["virtio_ring", "virtio", "failover", "net", "virtio-rng"]);
  });

  test("that are missing, or depend on themselves, are refused", () => {
    expect(() => orderModules(["gone"], [])).toThrow("no module gone");
    expect(() => orderModules(["a"], [module("a", "b"), module("b", "a")])).toThrow("depends on itself");
    expect(readDependencies(Buffer.from("no such text"))).toEqual([]);
  });
});
