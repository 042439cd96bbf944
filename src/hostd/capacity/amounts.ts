import type { Resources } from "../machines/version.ts";

export const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

export function add(a: Resources, b: Resources): Resources {
  return { cpus: a.cpus + b.cpus, memoryMb: a.memoryMb + b.memoryMb, diskMb: a.diskMb + b.diskMb };
}

/** Subtracts `b` from `a`. The result may be below zero: capacity can be configured below what machines have. */
export function subtract(a: Resources, b: Resources): Resources {
  return { cpus: a.cpus - b.cpus, memoryMb: a.memoryMb - b.memoryMb, diskMb: a.diskMb - b.diskMb };
}

/** Returns the larger of each resource. */
export function larger(a: Resources, b: Resources): Resources {
  return {
    cpus: Math.max(a.cpus, b.cpus),
    memoryMb: Math.max(a.memoryMb, b.memoryMb),
    diskMb: Math.max(a.diskMb, b.diskMb),
  };
}

/** Whether `needed` fits into `free`. Zero always fits. */
export function fits(free: Resources, needed: Resources): boolean {
  return shortage(free, needed) === undefined;
}

/** Returns the first resource that `free` has too little of; undefined when `needed` fits. */
export function shortage(free: Resources, needed: Resources): "no_cpu" | "no_memory" | "no_disk" | undefined {
  if (needed.cpus > 0 && needed.cpus > free.cpus) return "no_cpu";
  if (needed.memoryMb > 0 && needed.memoryMb > free.memoryMb) return "no_memory";
  if (needed.diskMb > 0 && needed.diskMb > free.diskMb) return "no_disk";
  return undefined;
}

export function atLeastZero({ cpus, memoryMb, diskMb }: Resources): Resources {
  return { cpus: Math.max(0, cpus), memoryMb: Math.max(0, memoryMb), diskMb: Math.max(0, diskMb) };
}
