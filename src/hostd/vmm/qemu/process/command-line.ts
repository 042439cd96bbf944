import type { Shape } from "../../vmm.ts";

/** How guest code runs: on the processor, or translated by QEMU. */
export type Acceleration = "kvm" | "emulation";

/** What QEMU's arguments depend on. Paths are those that QEMU uses. */
export interface QemuSpec {
  /** Marks the process, so that it is found without its folder. */
  readonly name: string;
  readonly shape: Shape;
  readonly acceleration: Acceleration;
  /** Frequency of an emulated guest's time stamp counter. */
  readonly tscMhz?: number | undefined;
  readonly kernel: string;
  readonly initramfs: string;
  /** The read-only root disk. Without one the VM boots and waits. */
  readonly rootfs?: string | undefined;
  /** A file that is the guest's memory. `isPrivate`: the VM's writes do not reach the file. */
  readonly memory?: { readonly file: string; readonly isPrivate: boolean } | undefined;
  /** Whether it waits for the state of a template instead of booting. */
  readonly isRestored?: boolean | undefined;
  /** Whether that state is that of the devices alone, in which nothing says that the VM was stopped. */
  readonly withoutMemory?: boolean | undefined;
}

/** Files in a VM's run folder, which is QEMU's working directory. */
export const VM_FILES = {
  qmp: "qmp.sock",
  agent: "agent.sock",
  scratch: "scratch.disk",
  image: "image.sqfs",
} as const;

const AGENT_PORT = "windhover.agent";
/** Serial numbers by which the guest finds its disks. */
export const DISK_SERIALS = { root: "root", scratch: "scratch" } as const;
/** Name of the block node that the root disk reads; its file can be replaced. */
export const ROOT_NODE = "root";
export const NETWORK = "net0";
/** Name of the buffer with the end of the guest's console. */
export const CONSOLE = "console";

const CONSOLE_BYTES = 32 * 1024;
/**
 * Memory for translated code. A boot fills some 80 MB; the default is 1 GB, which nobody counts.
 */
const TRANSLATION_MB = 128;

/**
 * All that QEMU emulates, up to x86-64-v3 (AVX2, FMA), without what is slow or of no use in emulation: `rep movsb` (erms, fsrm) runs
 * byte by byte. xsave must stay: without it the kernel does not keep the registers of AVX, while the processor still claims to have them.
 */
const EMULATED_CPU = [
  "max",
  ...["erms", "fsrm", "la57", "smap", "smep", "umip", "pku", "mpx"].map((feature) => `${feature}=off`),
].join(",");

/** Makes QEMU's arguments for a VM. VMs restored from a template need the template's. */
export function qemuArguments(spec: QemuSpec): string[] {
  const { shape } = spec;
  const isKvm = spec.acceleration === "kvm";
  return [
    ...["-name", spec.name],
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...[
      "-machine",
      `q35,vmport=off,smm=off,usb=off,sata=off,smbus=off,hpet=off,dump-guest-core=off${spec.memory ? ",memory-backend=ram" : ""}${spec.withoutMemory ? ",suppress-vmdesc=on" : ""}`,
    ],
    ...(spec.memory ? memoryFile(spec.memory, shape) : []),
    ...["-accel", isKvm ? "kvm" : `tcg,thread=multi,tb-size=${TRANSLATION_MB}`],
    ...["-cpu", isKvm ? "host" : EMULATED_CPU],
    ...["-smp", String(shape.cpus), "-m", String(shape.memoryMb)],
    ...["-no-reboot"],
    ...["-kernel", spec.kernel, "-initrd", spec.initramfs, "-append", kernelCommandLine(spec)],
    ...["-qmp", `unix:${VM_FILES.qmp},server=on,wait=off`],
    ...["-chardev", `ringbuf,id=${CONSOLE},size=${CONSOLE_BYTES}`, "-serial", `chardev:${CONSOLE}`],
    ...["-device", "virtio-serial-pci,max_ports=2"],
    ...["-chardev", `socket,id=agent,path=${VM_FILES.agent},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=agent,name=${AGENT_PORT},nr=1`],
    ...(spec.rootfs === undefined ? [] : rootDisk(spec.rootfs)),
    ...scratchDisk(),
    ...["-netdev", `user,id=${NETWORK},ipv6=off`],
    ...["-device", `virtio-net-pci,netdev=${NETWORK},romfile=,guest_announce=off`],
    ...["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"],
    ...(spec.isRestored ? ["-incoming", "defer"] : []),
    ...(spec.withoutMemory ? ["-S", "-global", "migration.send-configuration=off"] : []),
  ];
}

/**
 * Makes the kernel's arguments. What weakens isolation is for emulation only. There the kernel also gets the frequency of its clock: it
 * measures a far too low one when QEMU does not get the processor meanwhile, and then its time passes too fast.
 */
function kernelCommandLine({ acceleration, tscMhz }: QemuSpec): string {
  const always = "quiet panic=-1 console=ttyS0 8250.nr_uarts=1";
  if (acceleration === "kvm") return always;
  return [
    ...[always, "nokaslr mitigations=off no_timer_check tsc=reliable cryptomgr.notests random.trust_cpu=on"],
    ...["init_on_alloc=0 kfence.sample_interval=0 transparent_hugepage=never lsm=landlock,yama psi=0"],
    "hardened_usercopy=off",
    ...(tscMhz === undefined ? [] : [`tsc_early_khz=${tscMhz * 1_000}`]),
  ].join(" ");
}

function memoryFile({ file, isPrivate }: { file: string; isPrivate: boolean }, shape: Shape): string[] {
  const backend = `memory-backend-file,id=ram,mem-path=${escapeCommas(file)},size=${shape.memoryMb}M`;
  return ["-object", `${backend},share=${isPrivate ? "off" : "on"},prealloc=off`];
}

/** Two nodes, so that the file can be replaced under the device. */
function rootDisk(file: string): string[] {
  return [
    ...[
      "-blockdev",
      `driver=file,node-name=root-file,filename=${escapeCommas(file)},read-only=on,locking=off`,
    ],
    ...["-blockdev", `driver=raw,node-name=${ROOT_NODE},file=root-file,read-only=on`],
    ...["-device", `virtio-blk-pci,drive=${ROOT_NODE},serial=${DISK_SERIALS.root}`],
  ];
}

/** Never flushed, as nothing on it outlives the VM. */
function scratchDisk(): string[] {
  const cache = "cache.no-flush=on,cache.direct=off";
  return [
    ...["-blockdev", `driver=file,node-name=scratch-file,filename=${VM_FILES.scratch},${cache}`],
    ...["-blockdev", `driver=raw,node-name=scratch,file=scratch-file,${cache}`],
    ...["-device", `virtio-blk-pci,drive=scratch,serial=${DISK_SERIALS.scratch}`],
  ];
}

/** In QEMU's option lists a comma in a value is written twice. */
function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}
