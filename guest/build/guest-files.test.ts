import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { extractVmlinux } from "./bzimage.ts";
import { writeCpio } from "./cpio.ts";
import { orderModules, readDependencies } from "./modules.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "wh-guest-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("a bzImage", () => {
  /** Makes one with `content` as its packed kernel, followed by the unpacked size. */
  function image(content: Buffer): Buffer {
    const file = join(dir, "content");
    writeFileSync(file, content);
    // "-l": the format of the kernel's build.
    const packed = execFileSync("lz4", ["-lqc", file]);
    const payload = Buffer.concat([packed, Buffer.alloc(4)]);
    payload.writeUInt32LE(content.length, packed.length);
    return imageOf(payload);
  }

  function imageOf(payload: Buffer): Buffer {
    const file = Buffer.alloc(1024 + 16 + payload.length);
    file[0x1f1] = 1;
    file.writeUInt16LE(0xaa55, 0x1fe);
    file.write("HdrS", 0x202);
    file.writeUInt32LE(16, 0x248);
    file.writeUInt32LE(payload.length, 0x24c);
    payload.copy(file, 1024 + 16);
    return file;
  }

  test("yields the ELF file in it", async () => {
    const elf = Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46]), Buffer.alloc(100_000, "kernel")]);

    await extractVmlinux(image(elf), join(dir, "vmlinux"));

    expect(readFileSync(join(dir, "vmlinux")).equals(elf)).toBe(true);
    expect(readdirSync(dir).sort()).toEqual(["content", "vmlinux"]);
  });

  test.each([
    ["no bzImage", () => Buffer.alloc(4096), "not a bzImage"],
    ["one without a payload", () => imageOf(Buffer.alloc(4)), "no payload"],
    ["one with damaged data", () => imageOf(Buffer.from("hello, world")), "lz4"],
    ["one with something else", () => image(Buffer.from("no elf!")), "not an ELF file"],
  ])("%s is refused", async (_what, make, message) => {
    await expect(extractVmlinux(make(), join(dir, "vmlinux"))).rejects.toThrow(message);
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
