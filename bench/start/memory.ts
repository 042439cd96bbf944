import { readFileSync } from "node:fs";
import { vmsOf } from "../lib/vms.ts";

/**
 * Memory that each VM of the fleet has to itself, in MB: what would be free if it went. Guest and QEMU together; pages that VMs share,
 * such as those of a template, are nobody's own.
 */
export function privateMemory(fleetFolder: string): readonly number[] {
  return vmsOf(fleetFolder).flatMap(({ pid }) => {
    try {
      return privateMb(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    } catch {
      // It ended, or is not ours to look at.
      return [];
    }
  });
}

/** Adds up what is private in the kernel's summary of a process's memory. */
export function privateMb(rollup: string): number {
  const kilobytes = [...rollup.matchAll(/^Private_(?:Clean|Dirty|Hugetlb):\s+(\d+) kB$/gm)];
  return kilobytes.reduce((sum, [, value]) => sum + Number(value), 0) / 1_024;
}
