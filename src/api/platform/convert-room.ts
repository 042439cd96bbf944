import { Scheduling } from "../../gen/windhover/scheduler/v1/host.ts";
import type { AttachedHost } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { FreeResources } from "./estimate.ts";

/** Returns the free resources of a host by its last status; undefined when it takes no machines. */
export function freeFromProto(host: AttachedHost, nowMs: number): FreeResources | undefined {
  const { info, status, backoffUntilTime } = host;
  const capacity = info?.capacity;
  if (!capacity || (backoffUntilTime && backoffUntilTime.getTime() > nowMs)) return undefined;
  const scheduling = status?.scheduling ?? Scheduling.OPEN;
  if (scheduling === Scheduling.CORDONED || scheduling === Scheduling.DRAINING) return undefined;
  const { diskFreeMb, diskReserveMb } = status ?? {};
  if (diskFreeMb !== undefined && diskReserveMb !== undefined && diskFreeMb < diskReserveMb) return undefined;
  const free = (of: "cpus" | "memoryMb" | "diskMb") =>
    Number(capacity[of]) - Number(status?.held?.[of] ?? 0) - Number(status?.allocated?.[of] ?? 0);
  return { cpus: free("cpus"), memoryMb: free("memoryMb"), diskMb: free("diskMb") };
}
