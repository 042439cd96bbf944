import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest } from "../../../guest/build/build.ts";
import { StartQueue } from "../../../src/hostd/operations/launch/start-queue.ts";
import { POOL_PREFIX } from "../../../src/hostd/vmm/qemu/process/vm-dirs.ts";
import { selectVmm, type VmmSettings } from "../../../src/hostd/vmm/select.ts";
import type { LogLine, Vm, Vmm, VmSink, Workload } from "../../../src/hostd/vmm/vmm.ts";
import { guestFolder } from "../../../tools/lib/paths.ts";
import { temporaryFolder } from "../../support/temporary.ts";

type LaunchOptions = Partial<Workload> &
  Pick<VmSink, "onConnection"> & { readonly memoryMb?: number; readonly cpus?: number };

/** A VMM with a data directory and an image of its own. */
export interface Bench {
  readonly vmm: Vmm;
  /** The host's data directory, which nobody but its owner may enter. */
  readonly dir: string;
  readonly guestDir: string;
  readonly image: string;
  /** Launches `argv` and collects its lines. */
  launch(argv: readonly string[], more?: LaunchOptions): Promise<Launched>;
  /** Ids of the warm VMs. */
  waiting(): string[];
  /** Destroys all VMs and removes the directory. */
  close(): Promise<void>;
}

/** A VM and its output so far. */
export interface Launched {
  readonly vm: Vm;
  readonly lines: LogLine[];
  /** The lines' texts. */
  texts(): string[];
}

const COMMANDS = [
  "sh",
  "cat",
  "id",
  "env",
  "ls",
  "stat",
  "touch",
  "hostname",
  "mount",
  "sleep",
  "head",
  "hexdump",
  "rm",
  "df",
  "grep",
  "wc",
  "true",
];
const PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:Web:/srv/web:/bin/sh\n";
const GROUP = "root:x:0:\nweb:x:1001:\nextra:x:2000:web\nmore:x:2001:web\n";

/** Opens a VMM. Builds the guest first, unless it is there. */
export async function openBench(options: Partial<VmmSettings> = {}): Promise<Bench> {
  const guestDir = guestFolder();
  await buildGuest(guestDir, () => {});
  const folder = temporaryFolder("vmm");
  const image = buildImage(folder.path);
  const dir = join(folder.path, "host");
  const vmm = await openVmm(dir, options);
  // As many boot at once as on a host.
  const starts = new StartQueue({ concurrency: 64, maxBoots: vmm.maxBoots, maxWaiting: 256 });
  let count = 0;
  const launch = async (
    argv: readonly string[],
    { memoryMb = 256, cpus = 1, onConnection, ...more }: LaunchOptions = {},
  ): Promise<Launched> => {
    const lines: LogLine[] = [];
    const workload = { ...plainWorkload(image, argv), ...more };
    const sink = {
      onLog: (line: LogLine) => void lines.push(line),
      ...(onConnection ? { onConnection } : {}),
    };
    const vmId = `vm-${++count}`;
    const shape = { cpus, memoryMb };
    const { signal } = new AbortController();
    const reserveWarm = () => vmm.reserveWarm?.(vmId, shape) ?? false;
    const release = await starts.enter("tests", signal, reserveWarm);
    try {
      const vm = await vmm.launch({ vmId, shape, workload, sink }, signal);
      return { vm, lines, texts: () => lines.map(({ text }) => text) };
    } finally {
      release();
    }
  };
  const close = async (): Promise<void> => {
    await Promise.all((await vmm.list()).map((id) => vmm.destroy(id)));
    await vmm.close();
    folder.remove();
  };
  const waiting = (): string[] => readdirSync(join(dir, "vms")).filter((id) => id.startsWith(POOL_PREFIX));
  return { vmm, dir, guestDir, image, launch, waiting, close };
}

/** Opens another VMM on the same directory, as a restarted hostd does. */
export function openVmm(dir: string, options: Partial<VmmSettings> = {}): Promise<Vmm> {
  return selectVmm({ dir, guestDir: guestFolder(), ...options });
}

/** Returns the pid of a VM's QEMU. */
export function qemuPid(dir: string, vmId: string): number {
  const record: unknown = JSON.parse(readFileSync(join(dir, "vms", vmId, "vm.json"), "utf8"));
  // As the adapter writes it.
  return (record as { qemu: { pid: number } }).qemu.pid;
}

/** Returns the memory in MB that a VM's QEMU shares with nobody, the guest's included. */
export function privateMb(dir: string, vmId: string): number {
  const rollup = readFileSync(`/proc/${qemuPid(dir, vmId)}/smaps_rollup`, "utf8");
  const kb = [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].map(([, value]) => Number(value));
  return kb.reduce((sum, value) => sum + value, 0) / 1024;
}

/** Returns a function: whether a VM's QEMU, and so its guest, was idle since the last call. */
export function isAtRest(dir: string, vmId: string): () => boolean {
  const pid = qemuPid(dir, vmId);
  let last = "";
  return () => {
    const used = readFileSync(`/proc/${pid}/stat`, "utf8").split(" ").slice(13, 15).join();
    const isSame = used === last;
    last = used;
    return isSame;
  };
}

/** Makes a workload with default settings. */
export function plainWorkload(image: string, argv: readonly string[]): Workload {
  return {
    rootfs: image,
    argv,
    env: {},
    user: "",
    workingDir: "/",
    hostname: "bench",
    ports: [],
  };
}

/** Makes a small root file system: busybox, the probe, accounts, unexecutable files. */
function buildImage(dir: string): string {
  const root = join(dir, "root");
  for (const each of ["bin", "etc", "data"]) mkdirSync(join(root, each), { recursive: true });
  execFileSync("cp", ["/bin/busybox", join(root, "bin/busybox")]);
  for (const name of COMMANDS) symlinkSync("busybox", join(root, "bin", name));
  const source = join(import.meta.dirname, "probe.c");
  execFileSync("musl-gcc", ["-static", "-O1", "-s", "-D_GNU_SOURCE", "-o", join(root, "bin/probe"), source]);
  writeFileSync(join(root, "etc/passwd"), PASSWD);
  writeFileSync(join(root, "etc/group"), GROUP);
  // As systemd's images have it: a link to nowhere.
  symlinkSync("../run/systemd/resolve/stub-resolv.conf", join(root, "etc/resolv.conf"));
  writeFileSync(join(root, "data/file"), "from the image\n");
  writeFileSync(join(root, "bin/text"), "no program\n");
  writeFileSync(join(root, "bin/noise"), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]));
  writeFileSync(join(root, "bin/orphan"), "#!/bin/missing\n");
  writeFileSync(join(root, "bin/aarch64"), elfHeader(183));
  for (const name of ["noise", "orphan", "aarch64"]) chmodSync(join(root, "bin", name), 0o755);
  const image = join(dir, "image.sqfs");
  packImage(root, image);
  return image;
}

/** Makes the beginning of a program for the processor of this number. */
function elfHeader(machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(machine, 18);
  return header;
}

/** Makes an image of a folder; root owns all of it. */
export function packImage(root: string, image: string): void {
  const tar = execFileSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", "-", "."], {
    maxBuffer: 1e8,
  });
  execFileSync("tar2sqfs", ["-q", "-c", "lz4", image], { input: tar, stdio: ["pipe", "ignore", "inherit"] });
}
