import type { ExecMachineRequest, ExecMachineResponse } from "../../gen/windhover/machines/v1/exec.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { endsWithin, TimeLimit } from "../../lib/runtime/wait.ts";
import { signalName } from "../../lib/signals/signals.ts";
import type { ExecEnd, ExecSession } from "../vmm/exec.ts";
import type { Vm } from "../vmm/vmm.ts";
import { type ExecOrder, inputFromProto } from "./convert-exec.ts";
import { execFault, execTimeout, interrupted } from "./exec-faults.ts";

/** Longest time that a guest may take to run a command. */
const START_LIMIT_MS = 15_000;
/** Longest wait for a guest to confirm that a command is killed. */
const KILL_LIMIT_MS = 5_000;
/** Input of a command that waits until the command takes it, and the memory that each part takes besides its bytes. */
const MAX_WAITING_INPUT = 256 * 1_024;
const PART_OVERHEAD_BYTES = 1_024;
const SIGNAL_BASE = 128;

/** Signals that end a command early. */
interface Ends {
  /** The client has gone. */
  readonly gone: AbortSignal;
  /** hostd shuts down. */
  readonly draining: AbortSignal;
}

/**
 * Runs a command to its end. Kills it when the iteration ends.
 *
 * @param requests of the client, after the first one
 * @throws Fault EXEC_FAILED, EXEC_TIMEOUT, EXEC_INTERRUPTED, TOO_MANY_EXECS, INVALID_FIELDS
 */
export async function* execCommand(
  vm: Pick<Vm, "exec">,
  order: ExecOrder,
  requests: AsyncIterator<ExecMachineRequest>,
  ends: Ends,
  killLimitMs = KILL_LIMIT_MS,
): AsyncGenerator<ExecMachineResponse> {
  const { id, timeoutMs } = order;
  const session = await begin(vm, order, ends);
  let failure: Fault | undefined;
  let isKilled = false;
  const end = (fault?: Fault): void => {
    failure ??= fault;
    isKilled = true;
    session.kill();
  };
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => end(execTimeout(id, timeoutMs)), timeoutMs);
  using _gone = onAbort(ends.gone, () => end());
  using _draining = onAbort(ends.draining, () => end(interrupted(id, "the host's daemon restarts")));
  try {
    yield { message: { $case: "started", value: { pid: session.pid } } };
    void feed(session, order, requests).catch((err: unknown) => end(err instanceof Fault ? err : undefined));
    for await (const { stream, bytes } of session.output) {
      yield { message: { $case: stream, value: bytes } };
    }
    // Output ends with the kill, but a guest that is stuck never says that the command has ended.
    if (isKilled && !(await endsWithin(killLimitMs, session.ended)))
      throw failure ?? interrupted(id, "the guest has not confirmed it");
    const how = await session.ended;
    if (failure) throw failure;
    yield { message: { $case: "exit", value: exitToProto(how, id) } };
  } finally {
    clearTimeout(timer);
    session.kill();
  }
}

async function begin(
  vm: Pick<Vm, "exec">,
  { id, request, timeoutMs = START_LIMIT_MS }: ExecOrder,
  ends: Ends,
): Promise<ExecSession> {
  const limitMs = Math.min(timeoutMs, START_LIMIT_MS);
  const late = () =>
    timeoutMs <= START_LIMIT_MS
      ? execTimeout(id, timeoutMs)
      : interrupted(id, "the guest did not run it in time");
  using limit = new TimeLimit(limitMs, AbortSignal.any([ends.gone, ends.draining]), late);
  try {
    return await vm.exec(request, limit.signal);
  } catch (err) {
    throw execFault(err, id);
  }
}

/**
 * Passes the client's requests on. Sizes and signals overtake input that the command does not take; the client waits
 * when there is too much of it.
 */
async function feed(
  session: ExecSession,
  order: ExecOrder,
  requests: AsyncIterator<ExecMachineRequest>,
): Promise<void> {
  let written: Promise<void> = Promise.resolve();
  let waiting = 0;
  const queue = (bytes: number, work: () => Promise<void> | void): void => {
    const cost = bytes + PART_OVERHEAD_BYTES;
    waiting += cost;
    written = written.then(work).finally(() => {
      waiting -= cost;
    });
    // At the end nobody waits for it any more.
    written.catch(() => {});
  };
  const endInput = (): void => queue(0, () => session.endInput());
  for (;;) {
    const next = await requests.next();
    if (next.done === true) break;
    const input = inputFromProto(next.value, order);
    if (input?.kind === "stdin") queue(input.bytes.length, () => session.write(input.bytes));
    else if (input?.kind === "end") endInput();
    else if (input?.kind === "resize") session.resize(input.size);
    else if (input?.kind === "signal") session.signal(input.signal);
    if (waiting > MAX_WAITING_INPUT) await written;
  }
  if (order.request.stdin) endInput();
}

function exitToProto(how: ExecEnd, id: string) {
  switch (how.kind) {
    case "exit":
      return { exitCode: how.code, signal: "" };
    case "signal":
      return { exitCode: SIGNAL_BASE + how.signal, signal: signalName(how.signal) };
    case "interrupted":
      throw interrupted(id, how.detail);
  }
}
