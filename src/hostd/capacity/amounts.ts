import type { Resources } from "../machines/machine.ts";

/** No resources. */
export const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

/** Adds two amounts. */
export function add(a: Resources, b: Resources): Resources {
  return { cpus: a.cpus + b.cpus, memoryMb: a.memoryMb + b.memoryMb, diskMb: a.diskMb + b.diskMb };
}

/** Subtracts `b` from `a`. The result may be below zero: capacity can be configured below what machines have. */
export function subtract(a: Resources, b: Resources): Resources {
  return { cpus: a.cpus - b.cpus, memoryMb: a.memoryMb - b.memoryMb, diskMb: a.diskMb - b.diskMb };
}

/** Whether `asked` fits into `free`. Zero always fits. */
export function fits(free: Resources, asked: Resources): boolean {
  return shortage(free, asked) === undefined;
}

/** Returns the first resource that `free` has too little of; undefined when `asked` fits. */
export function shortage(free: Resources, asked: Resources): "no_cpu" | "no_memory" | "no_disk" | undefined {
  if (asked.cpus > 0 && asked.cpus > free.cpus) return "no_cpu";
  if (asked.memoryMb > 0 && asked.memoryMb > free.memoryMb) return "no_memory";
  if (asked.diskMb > 0 && asked.diskMb > free.diskMb) return "no_disk";
  return undefined;
}

/** Raises negative amounts to zero. */
export function atLeastZero({ cpus, memoryMb, diskMb }: Resources): Resources {
  return { cpus: Math.max(0, cpus), memoryMb: Math.max(0, memoryMb), diskMb: Math.max(0, diskMb) };
}
