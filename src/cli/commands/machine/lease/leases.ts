import { LeasesServiceClient } from "../../../../gen/windhover/machines/v1/leases.ts";
import type { Lease } from "../../../../gen/windhover/machines/v1/machine.ts";
import { hasReason } from "../../../../lib/faults/fault.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../../render/json.ts";
import { type Column, table } from "../../../render/table.ts";
import { ago } from "../../../render/time.ts";
import type { Session } from "../../../session/session.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { duration } from "../../values.ts";
import { aboutMachines, type Ids } from "../each.ts";

const COLUMNS: readonly Column[] = [
  { title: "MACHINE" },
  { title: "OWNER", min: 6 },
  { title: "EXPIRES" },
  { title: "NONCE" },
  { title: "DESCRIPTION", min: 8, dropRank: 1 },
];

export function defineLeases(machine: HoverCommand): void {
  const leases = machine.group("leases", ["lease"], "Leases: the right of one client to change a machine");
  leases
    .leaf("view [machine...]", "Shows the leases of machines")
    .asksForMachine()
    .option(...APP_FLAG)
    .examples("hover machine leases view ID")
    .runs<Ids, AppFlag>(viewLeases, aboutMachines);
  leases
    .leaf("clear [machine]", "Releases the lease of a machine, whoever holds it")
    .asksForMachine()
    .option(...APP_FLAG)
    .examples("hover machine leases clear ID")
    .runs<[string], AppFlag>(clearLease, aboutMachine);
  leases
    .leaf("acquire [machine]", "Takes the lease of a machine, or refreshes it, and prints its nonce")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("--ttl <time>", "how long it lasts, 1s to 1h (default: 30s)", duration)
    .option("--description <text>", "what it is for")
    .option("--lease-nonce <nonce>", "nonce of the lease to refresh")
    .examples("hover machine leases acquire ID --ttl 5m --description 'nightly backup'")
    .runs<[string], AcquireFlags>(acquireLease, aboutMachine);
}

async function viewLeases(session: Session, [given]: Ids, flags: AppFlag): Promise<void> {
  const found: { readonly id: string; readonly lease: Lease | undefined }[] = [];
  for (const one of new Set(given)) {
    const id = await machineId(session, await machinesClient(session), one, flags);
    found.push({ id, lease: await leaseOf(session, id) });
  }
  if (session.json)
    return session.printJson(found.map(({ id, lease }) => ({ id, lease: lease ? toJson(lease) : null })));
  const now = Date.now();
  const rows = found.map(({ id, lease }) =>
    lease
      ? [id, lease.owner, ago(lease.expireTime, now), lease.nonce, lease.description]
      : [id, "-", "-", "-", ""],
  );
  session.printLines(table(COLUMNS, rows, session.terminal.width));
}

async function leaseOf(session: Session, machineId: string): Promise<Lease | undefined> {
  const client = await session.client(LeasesServiceClient);
  try {
    return (await session.call(client, client.getLease, { machineId })).lease;
  } catch (err) {
    if (hasReason(err, "LEASE_NOT_FOUND")) return undefined;
    throw err;
  }
}

async function clearLease(session: Session, [given]: [string], flags: AppFlag): Promise<void> {
  const id = await machineId(session, await machinesClient(session), given, flags);
  const lease = await leaseOf(session, id);
  if (lease) {
    const client = await session.client(LeasesServiceClient);
    await session.call(client, client.releaseLease, { machineId: id, nonce: lease.nonce });
  }
  if (session.json) return session.printJson({ id, cleared: lease !== undefined });
  session.printLines([
    lease ? `the lease of ${id} is released; ${lease.owner} held it` : `${id} has no lease`,
  ]);
}

interface AcquireFlags extends AppFlag {
  readonly ttl?: number;
  readonly description?: string;
  readonly leaseNonce?: string;
}

/** Prints the nonce alone on standard output, so that a script can keep it. */
async function acquireLease(session: Session, [given]: [string], flags: AcquireFlags): Promise<void> {
  const { description = "", leaseNonce: nonce = "" } = flags;
  const id = await machineId(session, await machinesClient(session), given, flags);
  const client = await session.client(LeasesServiceClient);
  const request = { machineId: id, ttl: durationToProto(flags.ttl), description, nonce, requestId: "" };
  const { lease } = await session.call(client, client.acquireLease, request);
  if (session.json) return session.printJson({ id, lease: toJson(lease) });
  session.printLines([lease?.nonce ?? ""]);
  session.say(`Held until ${lease?.expireTime?.toISOString() ?? "-"}.`);
  session.suggest(`hover machine stop ${id} --lease-nonce NONCE`, `hover machine leases clear ${id}`);
}
