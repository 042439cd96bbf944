import { type Machine, MachineConfig, MachineState } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  MachinesServiceClient,
  UpdateMachineRequest,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../../render/json.ts";
import { stateName } from "../../../render/names.ts";
import { span as time } from "../../../render/time.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import { EXIT } from "../../../session/report.ts";
import type { Session } from "../../../session/session.ts";
import { type AppFlag, machineId, machinesClient } from "../../find.ts";
import type { ConfigFlags } from "../config/config-flags.ts";
import { configOfFile, overlay, sayIgnored } from "../config/machine-config.ts";
import { underLease } from "../lease/held-lease.ts";
import type { LeaseFlag } from "../lease/lease-flag.ts";
import { addressText, startOutcome } from "../machine-text.ts";
import { waitFor } from "../show/wait-for.ts";

/** The flags of `hover machine update`. */
export interface UpdateFlags extends AppFlag, LeaseFlag, ConfigFlags {
  readonly image?: string;
  readonly start?: boolean;
  readonly skipStart?: boolean;
  readonly skipLaunch?: boolean;
  readonly rollback?: boolean;
  readonly readyTimeout?: number;
  readonly currentVersion?: string;
  readonly wait?: boolean;
  readonly waitTimeout?: number;
}

/** It may have to pull and flatten a large image. */
const TIMEOUT_MS = 15 * 60_000;
const WAIT_MS = 300_000;

export async function runUpdate(session: Session, [idOrName]: [string], flags: UpdateFlags): Promise<void> {
  if (flags.start && (flags.skipStart || flags.skipLaunch))
    throw new UsageError("Either --start or --skip-start.");
  const client = await machinesClient(session);
  const id = await machineId(session, client, idOrName, flags);
  await session.inSpan("hover machine update", async (span) => {
    span.setMachine(id);
    const startedAt = performance.now();
    const work = async (leaseNonce: string) => {
      const request = await requestOf(session, client, id, flags, leaseNonce);
      if (request.config) sayIgnored(session, flags, request.config);
      const options = { timeoutMs: TIMEOUT_MS, span };
      const { machine } = await session.call(client, client.updateMachine, request, options);
      if (!flags.wait || machine === undefined) return machine;
      const wanted = { machineId: id, states: [], settled: true, instanceId: machine.instanceId };
      return (await waitFor(session, client, wanted, flags.waitTimeout ?? WAIT_MS)).machine;
    };
    const machine = flags.wait
      ? await underLease(session, id, flags.leaseNonce, "hover machine update", work)
      : await work(flags.leaseNonce ?? "");
    span.end();
    show(session, id, machine, performance.now() - startedAt);
  });
}

/** Puts the flags over the machine's configuration, which must not have changed when it is replaced. */
async function requestOf(
  session: Session,
  client: MachinesServiceClient,
  id: string,
  flags: UpdateFlags,
  leaseNonce: string,
): Promise<UpdateMachineRequest> {
  const { machine } = await session.call(client, client.getMachine, { machineId: id });
  const file = configOfFile(flags);
  const base = file ?? machine?.config ?? MachineConfig.create();
  const image = flags.image ?? (base.image || machine?.config?.image || "");
  // A whole configuration replaces the present one; a part of one is merged into it.
  const read = file === undefined ? (machine?.instanceId ?? "") : "";
  return {
    machineId: id,
    config: overlay({ ...base, image }, [], flags),
    currentVersion: flags.currentVersion ?? read,
    launch: flags.start === true,
    skipLaunch: flags.skipStart === true || flags.skipLaunch === true,
    leaseNonce,
    rollback: flags.rollback === true,
    readyTimeout: durationToProto(flags.readyTimeout),
    requestId: "",
  };
}

/** States in which an update leaves a machine that it does not start. */
const NOT_STARTED: ReadonlySet<MachineState> = new Set([
  MachineState.CREATED,
  MachineState.STOPPED,
  MachineState.SUSPENDED,
]);

function show(session: Session, id: string, machine: Machine | undefined, ms: number): void {
  const outcome =
    machine === undefined || NOT_STARTED.has(machine.state) ? { ok: true, text: "" } : startOutcome(machine);
  if (!outcome.ok) session.exitCode = EXIT.failed;
  if (session.json) {
    session.printJson({ id, machine: toJson(machine), duration_ms: Number(ms.toFixed(3)) });
    return;
  }
  const state = machine ? stateName(machine.state) : "unknown";
  const reach = machine && machine.serviceAddresses.length > 0 ? `, ${addressText(machine)}` : "";
  session.printLines([
    `${id} updated in ${time(ms)}: ${outcome.ok ? state : outcome.text}${reach}`,
    `  version   ${machine?.instanceId ?? "-"}`,
  ]);
  if (!outcome.ok) session.suggest(`hover machine logs ${id}`, `hover machine versions ${id}`);
}
