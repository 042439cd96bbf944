import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

/** How VMs ran. */
export interface VmmInfo {
  /** E.g. `qemu 7.2.22`. */
  readonly name: string;
  /** `kvm`, `emulation` or `none`. */
  readonly acceleration: string;
  readonly reason: string;
}

export type MachineInfo = ReturnType<typeof describeMachine>;

/** Describes this computer, not the guests. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memory_mb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    system: systemName(),
  };
}

/** Returns the load average of the last minute, of everything on this computer. */
export function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
