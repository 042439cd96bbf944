import type { Shape } from "../../vmm.ts";
import { AGENT_PORT, ROOT_SERIAL, SCRATCH_SERIAL } from "../guest-channel/protocol.ts";

/** How guest code is run: by the processor, or translated by QEMU. */
export type Acceleration = "kvm" | "emulation";

/** What a VM's QEMU is told at its start. Paths are as QEMU sees them. */
export interface LaunchSpec {
  /** Marks the process, so that it is found whatever became of its directory. */
  readonly name: string;
  readonly shape: Shape;
  readonly acceleration: Acceleration;
  readonly kernel: string;
  readonly initramfs: string;
  /** The machine's read-only image. Without one the VM boots all the same and waits. */
  readonly rootfs?: string;
  /** A file that is the guest's memory; private: what the VM writes stays its own. Without one QEMU has memory of its own. */
  readonly memory?: { readonly file: string; readonly isPrivate: boolean };
  /** Whether it waits for the state of another VM instead of booting. */
  readonly isRestored?: boolean;
}

/** Files in a VM's own directory, which is QEMU's working directory. */
export const VM_FILES = {
  qmp: "qmp.sock",
  agent: "agent.sock",
  scratch: "scratch.disk",
  image: "image.sqfs",
} as const;

/** Name of the block node that the root disk reads from; its file can be exchanged beneath it. */
export const ROOT_NODE = "root";
/** Name of the user-mode network, for port forwards. */
export const NETWORK = "net0";
/** Name of the buffer that keeps the end of the guest's console. */
export const CONSOLE = "console";

const CONSOLE_BYTES = 32 * 1024;
/** Translated code an emulator keeps. A boot fills some 80 MB; left alone it would take up to a gigabyte, which no ledger counts. */
const TRANSLATION_MB = 128;

/**
 * Emulation runs `rep movsb` byte by byte, so the guest must not be told that it is fast; the other features cost translation and
 * buy nothing there.
 */
const EMULATED_CPU = [
  "max",
  ...["erms", "fsrm", "la57", "smap", "smep", "umip", "pku", "xsave"].map((feature) => `${feature}=off`),
].join(",");

/** QEMU's arguments for a VM. Equal specs give equal lines, as VMs restored from a template need. */
export function qemuArguments(spec: LaunchSpec): string[] {
  const { shape } = spec;
  const isKvm = spec.acceleration === "kvm";
  return [
    ...["-name", spec.name],
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...[
      "-machine",
      `q35,vmport=off,smm=off,usb=off,sata=off,smbus=off,hpet=off${spec.memory ? ",memory-backend=ram" : ""}`,
    ],
    ...(spec.memory ? memoryFile(spec.memory, shape) : []),
    ...["-accel", isKvm ? "kvm" : `tcg,thread=multi,tb-size=${TRANSLATION_MB}`],
    ...["-cpu", isKvm ? "host" : EMULATED_CPU],
    ...["-smp", String(shape.cpus), "-m", String(shape.memoryMb)],
    ...["-no-reboot"],
    ...["-kernel", spec.kernel, "-initrd", spec.initramfs, "-append", kernelCommandLine(spec.acceleration)],
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
  ];
}

/** The kernel's own arguments. What only emulation needs, and only emulation may be trusted with, stays out of KVM's. */
export function kernelCommandLine(acceleration: Acceleration): string {
  const always = ["quiet", "panic=-1", "console=ttyS0", "8250.nr_uarts=1"];
  const emulated = [
    "nokaslr",
    "mitigations=off",
    "no_timer_check",
    "tsc=reliable",
    "cryptomgr.notests",
    "random.trust_cpu=on",
    "init_on_alloc=0",
    "kfence.sample_interval=0",
    "transparent_hugepage=never",
    "lsm=landlock,yama",
    "psi=0",
    "hardened_usercopy=off",
  ];
  return [...always, ...(acceleration === "emulation" ? emulated : [])].join(" ");
}

function memoryFile({ file, isPrivate }: { file: string; isPrivate: boolean }, shape: Shape): string[] {
  const where = `mem-path=${escapeCommas(file)},size=${shape.memoryMb}M`;
  return ["-object", `memory-backend-file,id=ram,${where},share=${isPrivate ? "off" : "on"},prealloc=off`];
}

/** Two nodes, so that the file can be exchanged under a device that stays. */
function rootDisk(file: string): string[] {
  return [
    ...[
      "-blockdev",
      `driver=file,node-name=root-file,filename=${escapeCommas(file)},read-only=on,locking=off`,
    ],
    ...["-blockdev", `driver=raw,node-name=${ROOT_NODE},file=root-file,read-only=on`],
    ...["-device", `virtio-blk-pci,drive=${ROOT_NODE},serial=${ROOT_SERIAL}`],
  ];
}

/** Nothing on it outlives the VM, so nothing on it needs to reach the platter. */
function scratchDisk(): string[] {
  const cache = "cache.no-flush=on,cache.direct=off";
  return [
    ...["-blockdev", `driver=file,node-name=scratch-file,filename=${VM_FILES.scratch},${cache}`],
    ...["-blockdev", `driver=raw,node-name=scratch,file=scratch-file,${cache}`],
    ...["-device", `virtio-blk-pci,drive=scratch,serial=${SCRATCH_SERIAL}`],
  ];
}

/** In QEMU's option lists a comma in a value is written twice. */
function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}
