import { existsSync, readFileSync } from "node:fs";
import { findPostgres, findProgram } from "../lib/programs.ts";

export interface SystemPackage {
  readonly name: string;
  /** What it is for. */
  readonly reason: string;
  readonly needs: "run" | "test";
  /** Looks for the program itself, which may have come from elsewhere. */
  isPresent(): boolean;
}

/** What is not here is part of every Debian (util-linux, dpkg, coreutils, tar). */
export const SYSTEM_PACKAGES: readonly SystemPackage[] = [
  has("qemu-system-x86_64", "qemu-system-x86", "run", "runs the machines"),
  has("tar2sqfs", "squashfs-tools-ng", "run", "writes images as squashfs"),
  has("redis-server", "redis-server", "run", "holds reservations"),
  has("docker-registry", "docker-registry", "run", "the local image registry"),
  {
    name: "postgresql-15",
    reason: "the database of machines",
    needs: "run",
    isPresent: () => findPostgres() !== undefined,
  },
  has("mkfs.ext4", "e2fsprogs", "run", "makes the machines' scratch disks"),
  has("lz4", "lz4", "run", "unpacks the guest's kernel"),
  has("musl-gcc", "musl-tools", "run", "compiles the guest's init, static"),
  has("gcc", "gcc", "run", "the compiler behind musl-gcc"),
  hasFile("/usr/include/linux/if.h", "libc6-dev", "run", "kernel headers for the guest's init"),
  { name: "busybox-static", reason: "the sample image", needs: "run", isPresent: hasStaticBusybox },
  has("bwrap", "bubblewrap", "run", "confines QEMU and the image writer"),
  has("skopeo", "skopeo", "test", "reads images, to compare with ours"),
  has("umoci", "umoci", "test", "unpacks images, to compare with ours"),
  has("unsquashfs", "squashfs-tools", "test", "lists what is in an image"),
  has("mmdebstrap", "mmdebstrap", "test", "makes a real distribution's image"),
  has("zstd", "zstd", "test", "makes zstd layers"),
  has("protoc", "protobuf-compiler", "test", "makes the code of the Python example"),
  has("grpc_python_plugin", "protobuf-compiler-grpc", "test", "makes the code of the Python example"),
  hasFile(
    "/usr/lib/python3/dist-packages/grpc/__init__.py",
    "python3-grpcio",
    "test",
    "runs the Python example",
  ),
  has("curl", "curl", "test", "sends the documented requests"),
  has("prometheus", "prometheus", "test", "reads our metrics as an operator's would"),
  has("chromium", "chromium", "test", "opens the console's page as a user's browser would"),
];

export function missingPackages(needs: "run" | "test"): readonly SystemPackage[] {
  return SYSTEM_PACKAGES.filter((each) => (needs === "test" || each.needs === "run") && !each.isPresent());
}

function has(program: string, name: string, needs: "run" | "test", reason: string): SystemPackage {
  return { name, reason, needs, isPresent: () => findProgram(program) !== undefined };
}

function hasFile(path: string, name: string, needs: "run" | "test", reason: string): SystemPackage {
  return { name, reason, needs, isPresent: () => existsSync(path) };
}

/** The sample image holds nothing but busybox; Debian has a dynamically linked one as well. */
function hasStaticBusybox(): boolean {
  const path = findProgram("busybox");
  return path !== undefined && !isDynamic(readFileSync(path));
}

/** Whether a 64-bit little-endian ELF file needs the dynamic loader. */
export function isDynamic(elf: Buffer): boolean {
  const interpreter = 3;
  const [table, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(table + index * size)).includes(
    interpreter,
  );
}
