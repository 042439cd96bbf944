import type { Host } from "../../gen/windhover/admin/v1/hosts.ts";
import type { Organization } from "../../gen/windhover/admin/v1/organizations.ts";
import type { App } from "../../gen/windhover/machines/v1/apps.ts";
import { schedulingName } from "./scheduling.ts";

// The shapes that `--json` prints. Stable: names as in proto, int64 as numbers, enums as lower-case words, times as RFC 3339, and what is
// not known is null; no key is ever left out. `machine-json.ts` has those of machines.

/** A time, or null. */
export function timeJson(time: Date | undefined): string | null {
  return time?.toISOString() ?? null;
}

/** A text that is empty when there is nothing to say yet, or null. */
export function textJson(text: string): string | null {
  return text === "" ? null : text;
}

/** An amount, or null when it is not known. */
function numberJson(amount: bigint | undefined): number | null {
  return amount === undefined ? null : Number(amount);
}

/** The shape of an app. */
export function appJson(app: App) {
  return {
    name: app.name,
    org: app.org,
    create_time: timeJson(app.createTime),
    machine_count: app.machineCount,
  };
}

const STANDINGS = ["unspecified", "good", "past_due", "banned"] as const;

/** The name of an organisation's standing. */
export function standingName(standing: number): string {
  return STANDINGS[standing] ?? `unknown_${standing}`;
}

/** The shape of an organisation. */
export function orgJson(org: Organization) {
  return {
    slug: org.slug,
    name: org.name,
    standing: standingName(org.standing),
    quota: org.quota ? { machines: org.quota.machines, memory_mb: Number(org.quota.memoryMb) } : null,
    machines_used: org.machinesUsed,
    memory_mb_used: Number(org.memoryMbUsed),
    create_time: timeJson(org.createTime),
  };
}

/** The shape of a host. */
export function hostJson(host: Host) {
  return {
    number: host.number,
    name: host.name,
    region: host.region,
    zone: host.zone,
    address: host.address,
    attached: host.attached,
    attach_time: timeJson(host.attachTime),
    last_seen_time: timeJson(host.lastSeenTime),
    capacity: capacityJson(host.capacity),
    held: capacityJson(host.held),
    allocated: capacityJson(host.allocated),
    running: capacityJson(host.running),
    machines: host.machines,
    vmm: host.vmm,
    acceleration: host.acceleration,
    isolation: host.isolation,
    vmm_reason: host.vmmReason,
    status_message: host.statusMessage,
    scheduling: schedulingName(host.scheduling),
    labels: host.labels,
    warm_vms: host.warmVms,
    passed_over_until_time: timeJson(host.backoffUntilTime),
    disk_free_mb: numberJson(host.diskFreeMb),
    disk_reserve_mb: numberJson(host.diskReserveMb),
  };
}

function capacityJson(capacity: Host["capacity"]) {
  if (!capacity) return null;
  return { cpus: capacity.cpus, memory_mb: Number(capacity.memoryMb), disk_mb: Number(capacity.diskMb) };
}
