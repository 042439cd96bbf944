import { InvalidArgumentError } from "commander";

/** A size of a VM, as GuestConfig has it. */
export interface VmSize {
  readonly cpuKind: string;
  readonly cpus: number;
  readonly memoryMb: number;
}

const KINDS = [
  { cpuKind: "shared", cpus: [1, 2, 4, 6, 8], mbPerCpu: 256 },
  { cpuKind: "performance", cpus: [1, 2, 4, 6, 8, 10, 12, 14, 16], mbPerCpu: 2_048 },
];

/** Sizes by their names at Fly, e.g. `shared-cpu-2x`, `performance-4x`. */
export const SIZES: ReadonlyMap<string, VmSize> = new Map(
  KINDS.flatMap(({ cpuKind, cpus, mbPerCpu }) =>
    cpus.map((n) => {
      const name = `${cpuKind === "shared" ? "shared-cpu" : cpuKind}-${n}x`;
      return [name, { cpuKind, cpus: n, memoryMb: n * mbPerCpu }] as const;
    }),
  ),
);

/** Parses `--vm-size`. */
export function vmSize(raw: string): VmSize {
  const size = SIZES.get(raw.toLowerCase());
  if (size) return size;
  throw new InvalidArgumentError(`Sizes are ${[...SIZES.keys()].join(", ")}; not "${raw}".`);
}
