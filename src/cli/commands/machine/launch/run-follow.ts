import { type ExitEvent, type Machine, MachineState } from "../../../../gen/windhover/machines/v1/machine.ts";
import type {
  CreateMachineRequest,
  MachinesServiceClient,
} from "../../../../gen/windhover/machines/v1/machines.ts";
import { hasReason } from "../../../../lib/faults/fault.ts";
import { sleep } from "../../../../lib/runtime/wait.ts";
import { toJson } from "../../../render/json.ts";
import { stateName } from "../../../render/names.ts";
import { EXIT } from "../../../session/report.ts";
import type { Session } from "../../../session/session.ts";
import { exitText } from "../machine-text.ts";
import { entriesOf, printEntry } from "../show/log-lines.ts";
import { waitFor } from "../show/wait-for.ts";
import { createWithRetry } from "./create-call.ts";

const START_TIMEOUT_MS = 120_000;
/** How long a stop on Ctrl-C may take, and a removal. */
const END_TIMEOUT_MS = 15_000;
/** How long a stream of lines may take to open. Without it lines of a short program may be missed. */
const OPEN_MS = 5_000;
/** How long the last lines of a machine that is gone may take to arrive. */
const LAST_LINES_MS = 2_000;
const { STOPPED, FAILED, DESTROYED } = MachineState;

/**
 * Creates a machine, starts it, prints what it writes until its program has ended, and ends with the
 * program's exit code. Ctrl-C stops a machine that destroys itself, and leaves any other running.
 */
export async function runFollowed(
  session: Session,
  client: MachinesServiceClient,
  request: CreateMachineRequest,
): Promise<void> {
  await session.inSpan("hover machine run", async (span) => {
    const { machine } = await createWithRetry(session, client, request, span);
    const id = machine?.id ?? "";
    span.setMachine(id);
    const isTemporary = request.config?.autoDestroy === true;
    if (!session.json) session.say(`${id} runs on ${machine?.host ?? "-"}.`);
    await using output = new Output(session, client, id);
    try {
      // Before the start, so that no line is missed.
      await Promise.race([output.isOpen, sleep(OPEN_MS, session.signal)]);
      const start = { machineId: id, watch: undefined, leaseNonce: "" };
      await session.call(client, client.startMachine, start, { timeoutMs: START_TIMEOUT_MS, span });
      span.end();
      const ended = await endOf(session, client, id);
      await output.finish(isTemporary || ended?.state === DESTROYED);
      show(session, id, ended, isTemporary);
    } catch (err) {
      if (session.signal.aborted) await interrupted(session, client, id, isTemporary);
      else if (isTemporary) await remove(session, client, id);
      throw err;
    }
  });
}

/** Waits until the program has ended and is not started again. */
async function endOf(
  session: Session,
  client: MachinesServiceClient,
  machineId: string,
): Promise<Machine | undefined> {
  const wanted = { machineId, states: [STOPPED, FAILED, DESTROYED] };
  const { machine } = await waitFor(session, client, wanted, Number.POSITIVE_INFINITY);
  if (!machine || exitOf(machine)) return machine;
  // A wait may return the machine without its older events.
  const { events } = await session.call(client, client.listMachineEvents, {
    ...{ machineId, pageSize: 20, pageToken: "" },
  });
  return { ...machine, events };
}

function exitOf(machine: Machine | undefined): ExitEvent | undefined {
  return machine?.events.find((event) => event.exit)?.exit;
}

/** Prints the output of a machine as it comes. */
class Output implements AsyncDisposable {
  /** Resolves when lines are being read. */
  readonly isOpen: Promise<void>;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #readRest: () => Promise<void>;

  constructor(session: Session, client: MachinesServiceClient, machineId: string) {
    const opened = Promise.withResolvers<void>();
    this.isOpen = opened.promise;
    let position = 0n;
    const read = async (follow: boolean, signal: AbortSignal) => {
      const request = { machineId, follow, tail: undefined, since: undefined, afterSequence: position };
      for await (const entries of entriesOf(session, client, request, signal)) {
        opened.resolve();
        for (const entry of entries) {
          position = entry.sequence;
          printEntry(session, entry);
        }
      }
    };
    this.#readRest = () => read(false, session.signal);
    this.#done = read(true, AbortSignal.any([this.#stop.signal, session.signal])).then(
      () => opened.resolve(),
      (err) => {
        opened.reject(err);
        // Nothing is lost: the rest is read in the end.
        if (!session.signal.aborted) session.say("The output is interrupted; it follows at the end.");
      },
    );
    this.isOpen.catch(() => undefined);
  }

  /** Prints the rest of the output after the end of the program. */
  async finish(isGoing: boolean): Promise<void> {
    // The stream of a machine that is destroyed, or will be, ends by itself after the last line.
    if (isGoing) await Promise.race([this.#done, sleep(LAST_LINES_MS, this.#stop.signal)]);
    this.#stop.abort();
    await this.#done;
    try {
      await this.#readRest();
    } catch (err) {
      if (!isGoing || !hasReason(err, "MACHINE_NOT_FOUND")) throw err;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

function show(session: Session, id: string, machine: Machine | undefined, isTemporary: boolean): void {
  const exit = exitOf(machine);
  session.exitCode = exit?.exitCode ?? EXIT.failed;
  if (session.json) {
    const line = { id, machine: toJson(machine), exit_code: exit?.exitCode ?? null };
    session.terminal.out(`${JSON.stringify(line)}\n`);
    return;
  }
  const state = isTemporary ? "destroyed" : machine ? stateName(machine.state) : "gone";
  if (exit === undefined) session.say(`${id} is ${state}; how its program ended is not known.`);
  else if (exit.exitCode !== 0 || exit.oomKilled) session.say(`${id} is ${state}: ${exitText(exit)}`);
}

/** Ends a temporary machine after Ctrl-C. A second one ends hover at once. */
async function interrupted(
  session: Session,
  client: MachinesServiceClient,
  id: string,
  isTemporary: boolean,
): Promise<void> {
  if (!isTemporary) return session.say(`${id} goes on: hover machine logs -f ${id}`);
  session.say(`Stopping ${id}; once more to leave at once.`);
  const options = { timeoutMs: END_TIMEOUT_MS, signal: new AbortController().signal };
  const stop = { machineId: id, signal: "", timeout: undefined, leaseNonce: "" };
  await session.call(client, client.stopMachine, stop, options).catch(() => undefined);
  await remove(session, client, id);
}

/** Removes a temporary machine, if it is still there. */
async function remove(session: Session, client: MachinesServiceClient, id: string): Promise<void> {
  const options = { timeoutMs: END_TIMEOUT_MS, signal: new AbortController().signal };
  const request = { machineId: id, force: true, leaseNonce: "" };
  try {
    await session.call(client, client.destroyMachine, request, options);
  } catch (err) {
    if (!hasReason(err, "MACHINE_NOT_FOUND"))
      session.say(`${id} could not be removed: hover machine destroy --force ${id}`);
  }
}
