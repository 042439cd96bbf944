import { randomUUID } from "node:crypto";
import {
  InitConfig,
  type Machine,
  type MachineConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  MachinesServiceClient,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import { type AppFlag, appOf, machinesClient } from "../../find.ts";
import type { ConfigFlags } from "../config/config-flags.ts";
import { machineConfig, sayIgnored } from "../config/machine-config.ts";
import { type PlacementFlags, placement } from "../config/placement.ts";
import { waitFor } from "../show/wait-for.ts";
import { createWithRetry } from "./create-call.ts";
import { showCreated } from "./created-text.ts";

const WAIT_MS = 300_000;

export interface CreateFlags extends AppFlag, ConfigFlags, PlacementFlags {
  readonly name?: string;
  readonly region?: string;
  readonly requestId?: string;
  readonly skipLaunch?: boolean;
  readonly detach?: boolean;
  readonly follow?: boolean;
  readonly shell?: boolean;
  readonly wait?: boolean;
  readonly waitTimeout?: number;
}

/** Arguments of both. */
export type CreateArguments = [image: string | undefined, command: string[]];

export async function runCreate(
  session: Session,
  [image, command]: CreateArguments,
  flags: CreateFlags,
  verb: "run" | "create",
): Promise<void> {
  const app = appOf(session, flags);
  if (app === undefined) {
    const given = command.find((word) => /^(?:-a|--app)(?:$|=)/.test(word));
    const where =
      given === undefined ? "" : ` (${given} stands behind the program's first word: it is the program's)`;
    throw new UsageError(
      `Which app? Name it with -a${where}; hover app list shows them, hover app create NAME makes one.`,
    );
  }
  const client = await machinesClient(session);
  if (verb === "run" && flags.shell) {
    const { runShell } = await import("./run-shell.ts");
    return await runShell(session, client, requestOf(app, shellConfig(image, flags), flags, false), flags);
  }
  const config = machineConfig(image, command, flags);
  sayIgnored(session, flags, config);
  const isIdle = verb === "create" || flags.skipLaunch === true;
  if (!isIdle && !flags.detach && (flags.follow || flags.rm)) {
    const { runFollowed } = await import("./run-follow.ts");
    return await runFollowed(session, client, requestOf(app, config, flags, true));
  }
  const request = requestOf(app, config, flags, isIdle);
  await session.inSpan(`hover machine ${verb}`, async (span) => {
    const startedAt = performance.now();
    const response = await createWithRetry(session, client, request, span);
    const machine = response.machine && (await settled(session, client, response.machine, flags));
    const ms = performance.now() - startedAt;
    span.setMachine(machine?.id ?? "");
    span.end();
    showCreated(session, { ...response, machine }, request, span.traceId, ms);
  });
}

function requestOf(
  app: string,
  config: MachineConfig,
  flags: CreateFlags,
  skipLaunch: boolean,
): CreateMachineRequest {
  return {
    leaseTtl: undefined,
    app,
    config,
    name: flags.name ?? "",
    region: flags.region ?? "",
    skipLaunch,
    cordoned: false,
    requestId: flags.requestId ?? `hover-${randomUUID()}`,
    placement: placement(flags),
  };
}

/** Returns the configuration of a machine for a shell: `--command` and `--user` are the shell's. */
function shellConfig(image: string | undefined, flags: CreateFlags): MachineConfig {
  const { command: _command, user: _user, ...rest } = flags;
  const config = machineConfig(image, [], { ...rest, rm: false });
  return { ...config, init: { ...InitConfig.create(), ...config.init, exec: ["/bin/sleep", "inf"] } };
}

/** Waits with `--wait` until the machine has settled. */
async function settled(
  session: Session,
  client: MachinesServiceClient,
  machine: Machine,
  { wait, waitTimeout = WAIT_MS }: CreateFlags,
): Promise<Machine> {
  if (!wait) return machine;
  const wanted = { machineId: machine.id, states: [], settled: true };
  return (await waitFor(session, client, wanted, waitTimeout)).machine ?? machine;
}
