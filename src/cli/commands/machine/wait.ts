import type {
  MachinesServiceClient,
  WaitMachineRequest,
  WaitMachineResponse,
} from "../../../gen/windhover/machines/v1/machines.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { toJson } from "../../render/json.ts";
import { STATE_NAMES, stateName } from "../../render/names.ts";
import { span as time } from "../../render/time.ts";
import { Absence } from "../../session/absence.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../find.ts";
import { duration, words } from "../values.ts";
import { statesOf } from "./list.ts";

const DEFAULT_MS = 60_000;
/** The server keeps the timeout; this is for the network. */
const MARGIN_MS = 5_000;

type Target = Pick<WaitMachineRequest, "machineId" | "states">;

/** Waits, also while the API restarts. */
async function wait(
  session: Session,
  client: MachinesServiceClient,
  target: Target,
  wanted: number | undefined,
): Promise<WaitMachineResponse> {
  const endMs = performance.now() + (wanted ?? DEFAULT_MS);
  const absence = new Absence(session);
  for (let waitMs = wanted; ; waitMs = Math.max(1, Math.ceil(endMs - performance.now()))) {
    const request = {
      instanceId: "",
      afterEventId: "",
      settled: false,
      ...target,
      timeout: durationToProto(waitMs),
    };
    const timeoutMs = (waitMs ?? DEFAULT_MS) + MARGIN_MS;
    try {
      return await session.call(client, client.waitMachine, request, { timeoutMs });
    } catch (err) {
      if (performance.now() >= endMs) throw err;
      await absence.pause(err);
    }
  }
}

export function defineWait(machine: HoverCommand): void {
  const states = `any of these, with commas: ${STATE_NAMES.join(", ")} (default: started)`;
  machine
    .leaf("wait <machine>", "Waits until a machine is in a state")
    .option(...APP_FLAG)
    .option("--state <states>", states, words)
    .option("--timeout <time>", "how long to wait, up to 5m (default: 60s)", duration)
    .runs<[string], AppFlag & { state?: readonly string[]; timeout?: number }>(
      async (session, [idOrName], flags) => {
        const states = statesOf(flags.state);
        const client = await machinesClient(session);
        const id = await machineId(session, client, idOrName, flags);
        const startedAt = performance.now();
        const { machine } = await wait(session, client, { machineId: id, states }, flags.timeout);
        if (session.json) return session.printJson(toJson(machine));
        const state = machine ? stateName(machine.state) : "there";
        session.printLines([`${id} is ${state} (waited ${time(performance.now() - startedAt)})`]);
      },
      aboutMachine,
    );
}
