/** Size of a VM as JSON has it. */
export interface GuestSize {
  readonly cpu_kind: "shared" | "performance";
  readonly cpus: number;
  readonly memory_mb: number;
}

const PRESET = /^(shared-cpu|performance)-(\d{1,2})x$/;
const CPUS = { shared: [1, 2, 4, 6, 8], performance: [1, 2, 4, 6, 8, 10, 12, 14, 16] } as const;
const MEMORY_MB_PER_CPU = { shared: 256, performance: 2048 } as const;
const GPU = /^(?:a10|a100|l40s)\b/;

/** Returns the size that a preset such as `shared-cpu-2x` names; undefined when there is none. */
export function guestOfPreset(name: string): GuestSize | undefined {
  const [, family, digits] = PRESET.exec(name) ?? [];
  if (family === undefined) return undefined;
  const kind = family === "performance" ? "performance" : "shared";
  const cpus = CPUS[kind].find((each) => String(each) === digits);
  return cpus === undefined ? undefined : { cpu_kind: kind, cpus, memory_mb: cpus * MEMORY_MB_PER_CPU[kind] };
}

/** Whether a preset is one of Fly's with a GPU. */
export function isGpuPreset(name: string): boolean {
  return GPU.test(name);
}
