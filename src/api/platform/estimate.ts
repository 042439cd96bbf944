import type { Guest } from "../machines/machine.ts";
import { SCRATCH_DISK_MB } from "../regions/scheduler-client.ts";

/** The free resources of a host. */
export interface FreeResources {
  readonly cpus: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** Room in a region. */
interface Room {
  readonly region: string;
  /** Machines that could be placed. */
  readonly count: number;
  /** Hosts that have room: each pulls an image of its own. */
  readonly concurrency: number;
}

/**
 * Counts the machines of a size that fit on the hosts of each region; places none. Counts 0 in a
 * region whose scheduler does not answer, unless none answers.
 *
 * @param freeIn reads the free resources of the hosts in a region from its scheduler
 * @param most largest count of a region
 * @throws Fault `SCHEDULER_UNAVAILABLE` when no region's scheduler answers
 */
export async function estimateRoom(
  freeIn: (region: string) => Promise<readonly FreeResources[]>,
  regions: readonly string[],
  guest: Guest,
  most: number,
): Promise<readonly Room[]> {
  const asked = await Promise.allSettled(regions.map(async (region) => freeIn(region)));
  const failed = asked.find((answer) => answer.status === "rejected");
  if (failed && asked.every(({ status }) => status === "rejected")) throw failed.reason;
  return asked.map((answer, i) => {
    const hosts = answer.status === "fulfilled" ? answer.value : [];
    const counts = hosts.map((free) => fitting(free, guest)).filter((count) => count > 0);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const [count, concurrency] = [Math.min(total, most), Math.min(counts.length, most)];
    return { region: regions[i] ?? "", count, concurrency };
  });
}

function fitting(free: FreeResources, { cpus, memoryMb }: Guest): number {
  return Math.floor(Math.min(free.cpus / cpus, free.memoryMb / memoryMb, free.diskMb / SCRATCH_DISK_MB));
}
