import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

/** The computer that a benchmark ran on. */
export interface MachineInfo {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_mb: number;
  /** Of the computer, not of the guests. */
  readonly kernel: string;
  readonly system: string;
}

/** How VMs ran. */
export interface VmmInfo {
  /** E.g. `qemu 7.2.22`. */
  readonly name: string;
  /** `kvm`, `emulation` or `none`. */
  readonly acceleration: string;
  readonly reason: string;
}

/** Describes this computer. */
export function describeMachine(): MachineInfo {
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
