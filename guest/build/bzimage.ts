import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { run } from "../../tools/lib/run.ts";

const ELF_MAGIC = 0x464c457f;
const BOOT_FLAG = 0xaa55;
/** "HdrS". */
const HEADER_MAGIC = 0x53726448;
const TIMEOUT_MS = 30_000;

/**
 * Writes the kernel in a bzImage, an ELF file, to `output`. QEMU boots it directly, which under
 * emulation saves the time of its own unpacking. Offsets are those of the kernel's
 * Documentation/x86/boot.rst.
 */
export async function extractVmlinux(image: Buffer, output: string): Promise<void> {
  if (
    image.length < 0x260 ||
    image.readUInt16LE(0x1fe) !== BOOT_FLAG ||
    image.readUInt32LE(0x202) !== HEADER_MAGIC
  ) {
    throw new Error("not a bzImage");
  }
  const setupSectors = image[0x1f1] || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c));
  if (payload.length < 8) throw new Error("the bzImage holds no payload");
  // The kernel's build appends the unpacked size to the LZ4 data.
  const unpackedBytes = payload.readUInt32LE(payload.length - 4);
  const packed = `${output}.lz4`;
  writeFileSync(packed, payload.subarray(0, -4));
  await run("lz4", ["-dqf", packed, output], { signal: AbortSignal.timeout(TIMEOUT_MS) });
  rmSync(packed);
  const kernel = readFileSync(output);
  if (kernel.length !== unpackedBytes || kernel.readUInt32LE(0) !== ELF_MAGIC) {
    throw new Error("the bzImage's payload is not an ELF file");
  }
}
