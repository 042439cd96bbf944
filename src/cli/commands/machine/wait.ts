import { durationToProto } from "../../../lib/grpc/duration.ts";
import { toJson } from "../../render/json.ts";
import { STATE_NAMES, stateName } from "../../render/names.ts";
import { span as time } from "../../render/time.ts";
import type { HoverCommand } from "../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../find.ts";
import { duration, words } from "../values.ts";
import { statesOf } from "./list.ts";

const DEFAULT_MS = 60_000;
/** The server keeps the timeout; this is for the network. */
const MARGIN_MS = 5_000;

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
        const request = { machineId: id, states, timeout: durationToProto(flags.timeout) };
        const timeoutMs = (flags.timeout ?? DEFAULT_MS) + MARGIN_MS;
        const { machine } = await session.call(client, client.waitMachine, request, { timeoutMs });
        if (session.json) return session.printJson(toJson(machine));
        const state = machine ? stateName(machine.state) : "there";
        session.printLines([`${id} is ${state} (waited ${time(performance.now() - startedAt)})`]);
      },
      aboutMachine,
    );
}
