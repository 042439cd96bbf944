import { toJson } from "../../../render/json.ts";
import { STATE_NAMES, stateName } from "../../../render/names.ts";
import { span as time } from "../../../render/time.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, aboutMachine, machineId, machinesClient } from "../../find.ts";
import { duration, words } from "../../values.ts";
import { statesOf } from "./list.ts";
import { waitFor } from "./wait-for.ts";

/** The name for any state at rest, as flyctl has it. */
const SETTLED = "settled";
/** The name for a machine that is started and whose checks pass. */
const READY = "ready";
/** As long as flyctl waits. */
const WAIT_MS = 300_000;

interface WaitFlags extends AppFlag {
  readonly state?: readonly string[];
  readonly timeout?: number;
  readonly waitTimeout?: number;
  readonly instanceId?: string;
  readonly afterEvent?: string;
}

export function defineWait(machine: HoverCommand): void {
  const states = `any of these, with commas: settled, ready, ${STATE_NAMES.join(", ")} (default: settled)`;
  machine
    .leaf("wait [machine]", "Waits until a machine is in a state")
    .asksForMachine()
    .option(...APP_FLAG)
    .option("--state <states>", states, words)
    .option("-w, --wait-timeout <time>", "how long to wait (default: 5m)", duration)
    .option("--timeout <time>", "the same", duration)
    .option("--instance-id <version>", "for this version of its configuration only")
    .option("--after-event <id>", "for what happens after this event")
    .examples(
      "hover machine wait ID",
      "hover machine wait ID --state ready",
      "hover machine wait ID --state stopped,destroyed -w 5m",
    )
    .runs<[string], WaitFlags>(async (session, [idOrName], flags) => {
      const names = flags.state ?? [SETTLED];
      const settled = names.includes(SETTLED);
      const ready = names.includes(READY);
      const states = statesOf(names.filter((name) => name !== SETTLED && name !== READY));
      const client = await machinesClient(session);
      const id = await machineId(session, client, idOrName, flags);
      const startedAt = performance.now();
      const { instanceId = "", afterEvent: afterEventId = "" } = flags;
      const wanted = { machineId: id, states, settled, ready, instanceId, afterEventId };
      const { machine } = await waitFor(
        session,
        client,
        wanted,
        flags.waitTimeout ?? flags.timeout ?? WAIT_MS,
      );
      if (session.json) return session.printJson(toJson(machine));
      const isReady = ready && machine?.ready === true;
      const state = isReady ? READY : machine ? stateName(machine.state) : "there";
      session.printLines([`${id} is ${state} (waited ${time(performance.now() - startedAt)})`]);
    }, aboutMachine);
}
