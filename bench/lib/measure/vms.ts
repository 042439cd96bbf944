import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Layout } from "../../../dev/settings/layout.ts";
import { findLeftovers } from "../../../dev/supervisor/sweep.ts";
import { inspect, type ProcessFacts } from "../../../tools/lib/processes.ts";

/** Lists every QEMU of a fleet, also those of VMs that wait. */
export function vmsOf(layout: Layout): readonly (ProcessFacts & { readonly pid: number })[] {
  return findLeftovers(layout)
    .vms.map(({ pid }) => ({ pid, ...inspect(pid) }))
    .filter(({ executable }) => basename(executable).startsWith("qemu-system-"));
}

/** Returns the memory in MB that each VM of a fleet shares with none, QEMU and guest together. */
export function privateMemory(layout: Layout): readonly number[] {
  return vmsOf(layout).flatMap(({ pid }) => {
    try {
      return privateMb(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    } catch {
      // It has ended, or is another user's.
      return [];
    }
  });
}

/** Adds up what is private in the kernel's summary of a process's memory. */
export function privateMb(rollup: string): number {
  const kilobytes = [...rollup.matchAll(/^Private_(?:Clean|Dirty|Hugetlb):\s+(\d+) kB$/gm)];
  return kilobytes.reduce((sum, [, value]) => sum + Number(value), 0) / 1_024;
}
