import { randomUUID } from "node:crypto";
import { InitConfig, type MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import type { CreateMachineRequest } from "../../../../gen/windhover/machines/v1/machines.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import { type AppFlag, machineId, machinesClient } from "../../find.ts";
import { commandLine } from "../config/command-line.ts";
import type { ConfigFlags } from "../config/config-flags.ts";
import { configOfFile, overlay, sayIgnored } from "../config/machine-config.ts";
import { underLease } from "../lease/held-lease.ts";
import { waitFor } from "../show/wait-for.ts";
import { createWithRetry } from "./create-call.ts";
import { showCreated } from "./created-text.ts";

const WAIT_MS = 300_000;
const LEASE_MS = 60_000;

/** The flags of `hover machine clone`. */
export interface CloneFlags extends AppFlag, ConfigFlags {
  readonly toApp?: string;
  readonly name?: string;
  readonly region?: string;
  readonly clearCmd?: boolean;
  readonly overrideCmd?: string;
  readonly clearAutoDestroy?: boolean;
  readonly skipLaunch?: boolean;
  readonly wait?: boolean;
  readonly waitTimeout?: number;
  readonly requestId?: string;
}

export async function runClone(session: Session, [idOrName]: [string], flags: CloneFlags): Promise<void> {
  const client = await machinesClient(session);
  const id = await machineId(session, client, idOrName, flags);
  const { machine: source } = await session.call(client, client.getMachine, { machineId: id });
  if (!source?.config) throw new UsageError(`${id} has no configuration to clone.`);
  const request: CreateMachineRequest = {
    app: flags.toApp ?? source.app,
    config: configOf(configOfFile(flags) ?? source.config, flags),
    name: flags.name ?? "",
    region: flags.region ?? source.region,
    skipLaunch: flags.skipLaunch === true,
    cordoned: false,
    requestId: flags.requestId ?? `hover-${randomUUID()}`,
    placement: undefined,
    leaseTtl: flags.wait ? durationToProto(LEASE_MS) : undefined,
  };
  if (request.config) sayIgnored(session, flags, request.config);
  await session.inSpan("hover machine clone", async (span) => {
    const startedAt = performance.now();
    const response = await createWithRetry(session, client, request, span);
    const created = response.machine;
    span.setMachine(created?.id ?? "");
    const wait = async () => {
      const wanted = { machineId: created?.id ?? "", states: [], settled: true };
      return (await waitFor(session, client, wanted, flags.waitTimeout ?? WAIT_MS)).machine;
    };
    const machine = flags.wait
      ? await underLease(
          session,
          created?.id ?? "",
          { taken: created?.lease?.nonce },
          "hover machine clone",
          wait,
        )
      : created;
    span.end();
    showCreated(session, { ...response, machine }, request, span.traceId, performance.now() - startedAt);
  });
}

/** Returns the configuration of the new machine, without members that `overlay` cannot remove. */
function configOf(source: MachineConfig, flags: CloneFlags): MachineConfig {
  const { clearCmd, overrideCmd, clearAutoDestroy, ...rest } = flags;
  if (clearCmd && overrideCmd !== undefined) throw new UsageError("Either --clear-cmd or --override-cmd.");
  const init = { ...InitConfig.create(), ...source.init, ...(clearCmd ? { cmd: [], exec: [] } : {}) };
  const base = {
    ...source,
    ...(clearCmd ? { init } : {}),
    autoDestroy: source.autoDestroy && !clearAutoDestroy,
  };
  return overlay(base, overrideCmd === undefined ? [] : commandLine(overrideCmd), rest);
}
