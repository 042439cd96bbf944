import type { AcquireStore } from "./acquire/acquire-store.ts";
import type { Acquirer } from "./acquire/acquirer.ts";
import type { CreateRunner } from "./creates/create-runner.ts";
import { resolveInDoubt } from "./creates/resolve-in-doubt.ts";
import type { GatedDatabase } from "./database/gated-database.ts";
import type { Hosts } from "./hosts/hosts.ts";
import type { Task } from "./maintenance/maintenance.ts";
import { applyRetention, boundRows, trimChanges } from "./maintenance/retention.ts";
import type { LimitStore } from "./shares/limit-store.ts";
import type { Shares } from "./shares/shares.ts";

const CONNECT_INTERVAL_MS = 2_000;
const REFRESH_INTERVAL_MS = 2_000;
/** Interval at which the limits of organisations are read from the database. */
const LIMITS_INTERVAL_MS = 5_000;
const IDLE_INTERVAL_MS = 60_000;
/** An api knows of a revocation by another one within this, and a host a moment later. */
const REVOCATIONS_INTERVAL_MS = 1_000;
const RECONCILE_INTERVAL_MS = 2_000;
/** Several times within the lease of an acquire. */
const ACQUIRES_INTERVAL_MS = 4_000;
const SWEEP_INTERVAL_MS = 30_000;
/** Longer than the interval, and little more: another api takes over soon after a crash. */
const SWEEP_LEASE_MS = 45_000;
const RETENTION_INTERVAL_MS = 60 * 60_000;
const BOUNDS_INTERVAL_MS = 5 * 60_000;

/** The background loops of an api. */
export interface MaintainedParts {
  readonly hosts: Pick<Hosts, "refresh">;
  readonly limits: LimitStore;
  readonly shares: Shares;
  readonly acquirer: Pick<Acquirer, "maintain">;
  readonly acquireStore: Pick<AcquireStore, "removeOld">;
  readonly runner: Pick<CreateRunner, "reconcile">;
  readonly sagas: Parameters<typeof resolveInDoubt>[0]["sagas"];
  readonly hostd: Parameters<typeof resolveInDoubt>[0]["hostd"];
  readonly database: GatedDatabase;
  keepConnected(): void;
  refreshRevocations(): Promise<void>;
  sweep(signal: AbortSignal): Promise<void>;
}

/** Lists the background tasks of an api. @param options see `ApiOptions` */
export function maintenanceTasks(
  parts: MaintainedParts,
  options: { readonly reconcileMs?: number; readonly sweeps?: boolean },
): readonly Task[] {
  const { hosts, limits, shares, acquirer, acquireStore, runner, sagas, hostd, database } = parts;
  const reconcileMs = options.reconcileMs ?? RECONCILE_INTERVAL_MS;
  const retention = { intervalMs: RETENTION_INTERVAL_MS, leaseMs: RETENTION_INTERVAL_MS };
  const bounds = { intervalMs: BOUNDS_INTERVAL_MS, leaseMs: BOUNDS_INTERVAL_MS };
  const tasks: Task[] = [
    {
      name: "refresh revocations",
      intervalMs: REVOCATIONS_INTERVAL_MS,
      run: () => parts.refreshRevocations(),
    },
    { name: "connect", intervalMs: CONNECT_INTERVAL_MS, run: () => parts.keepConnected() },
    { name: "refresh hosts", intervalMs: REFRESH_INTERVAL_MS, run: () => hosts.refresh() },
    { name: "refresh limits", intervalMs: LIMITS_INTERVAL_MS, run: () => limits.refresh(shares) },
    { name: "drop idle shares", intervalMs: IDLE_INTERVAL_MS, run: () => shares.dropIdle() },
    { name: "settle acquires", intervalMs: ACQUIRES_INTERVAL_MS, run: () => acquirer.maintain() },
    { name: "reconcile", intervalMs: reconcileMs, run: () => runner.reconcile() },
    {
      name: "resolve in-doubt",
      intervalMs: reconcileMs,
      run: (signal) => resolveInDoubt({ sagas, hostd }, signal),
    },
  ];
  if (options.sweeps ?? true) {
    tasks.push(
      {
        name: "sweep",
        intervalMs: SWEEP_INTERVAL_MS,
        leaseMs: SWEEP_LEASE_MS,
        run: (signal) => parts.sweep(signal),
      },
      { name: "retention", ...retention, run: () => applyRetention(database) },
      { name: "acquires", ...retention, run: () => acquireStore.removeOld() },
      { name: "bounds", ...bounds, run: () => boundRows(database) },
      { name: "trim changes", ...bounds, run: () => trimChanges(database) },
    );
  }
  return tasks;
}
