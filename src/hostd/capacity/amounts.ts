import type { Resources } from "../machines/machine.ts";

/** Resources that may be below zero: what is left of a host that has promised more than it now has. */
export type Amounts = Resources;

/** No resources. */
export const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

/** The sum of two. */
export function add(a: Amounts, b: Amounts): Amounts {
  return { cpus: a.cpus + b.cpus, memoryMb: a.memoryMb + b.memoryMb, diskMb: a.diskMb + b.diskMb };
}

/** What is left of `a` without `b`. */
export function subtract(a: Amounts, b: Amounts): Amounts {
  return { cpus: a.cpus - b.cpus, memoryMb: a.memoryMb - b.memoryMb, diskMb: a.diskMb - b.diskMb };
}

/** Whether `asked` fits into `free`. What is not asked for always fits. */
export function fits(free: Amounts, asked: Resources): boolean {
  return whatIsShort(free, asked) === undefined;
}

/** The first thing there is too little of, if any. */
export function whatIsShort(free: Amounts, asked: Resources): "no_cpu" | "no_memory" | "no_disk" | undefined {
  if (asked.cpus > 0 && asked.cpus > free.cpus) return "no_cpu";
  if (asked.memoryMb > 0 && asked.memoryMb > free.memoryMb) return "no_memory";
  if (asked.diskMb > 0 && asked.diskMb > free.diskMb) return "no_disk";
  return undefined;
}

/** The largest that would fit: nothing below zero. */
export function largest(free: Amounts): Resources {
  return {
    cpus: Math.max(0, free.cpus),
    memoryMb: Math.max(0, free.memoryMb),
    diskMb: Math.max(0, free.diskMb),
  };
}
