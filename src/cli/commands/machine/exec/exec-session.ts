import {
  type ExecMachineRequest,
  type ExecMachineResponse,
  ExecServiceClient,
  type ExecStart,
} from "../../../../gen/windhover/machines/v1/exec.ts";
import { Fault } from "../../../../lib/faults/fault.ts";
import type { Duplex } from "../../../../lib/grpc/calls/duplex.ts";
import { EXIT } from "../../../session/report.ts";
import type { Session } from "../../../session/session.ts";
import { EscapeFilter } from "./escape.ts";
import { rawTerminal, terminalSize } from "./raw-terminal.ts";

type Call = Duplex<ExecMachineRequest, ExecMachineResponse>;

/** A command to run in a machine, with or without a terminal. */
export interface ExecWish extends Omit<ExecStart, "terminal"> {
  readonly wantsTerminal: boolean;
}

/**
 * Runs a command in a machine with this process's standard streams.
 *
 * @returns its exit code
 */
export async function execInMachine(session: Session, machineId: string, wish: ExecWish): Promise<number> {
  const { wantsTerminal, ...start } = wish;
  const client = await session.client(ExecServiceClient);
  const call: Call = await session.duplex(client, client.execMachine);
  const send = (message: ExecMachineRequest["message"], id = "") => call.write({ machineId: id, message });
  // An error of the call comes from its messages; that of a write is not needed.
  const sendNow = (message: ExecMachineRequest["message"]) => void send(message).catch(() => undefined);
  using input = new Input(call, wantsTerminal);
  using _ = wantsTerminal ? rawTerminal((size) => sendNow({ $case: "resize", value: size })) : NOTHING;
  const terminal = wantsTerminal ? terminalSize() : undefined;
  const started = { $case: "start" as const, value: { ...start, terminal } };
  await send(started, machineId).catch(() => undefined);
  if (wish.stdin) input.begin(sendNow);
  try {
    for await (const { message } of call.messages) {
      if (message?.$case === "stdout" || message?.$case === "stderr")
        await session.terminal.pass(message.$case, message.value);
      else if (message?.$case === "exit") return message.value.exitCode;
    }
  } catch (err) {
    if (!input.hasLeft) throw err;
    session.say("\r\nLeft; the command is killed.");
    return EXIT.failed;
  }
  throw new Fault("UNAVAILABLE", "EXEC_INTERRUPTED", "the session ended without an exit code");
}

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

/** Standard input on its way to a command. */
class Input implements Disposable {
  readonly #call: Call;
  readonly #escapes: EscapeFilter | undefined;
  #hasLeft = false;
  #hasBegun = false;

  constructor(call: Call, wantsTerminal: boolean) {
    this.#call = call;
    this.#escapes = wantsTerminal && process.stdin.isTTY ? new EscapeFilter() : undefined;
  }

  /** Whether the person has typed `~.`. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Sends standard input, at the pace of the command. */
  begin(sendNow: (message: ExecMachineRequest["message"]) => void): void {
    this.#hasBegun = true;
    process.stdin.on("data", this.#take);
    process.stdin.once("end", () => sendNow({ $case: "stdinEnd", value: true }));
    process.stdin.on("error", () => sendNow({ $case: "stdinEnd", value: true }));
  }

  readonly #take = (chunk: Buffer) => {
    const { bytes, leaves } = this.#escapes?.filter(chunk) ?? { bytes: chunk, leaves: false };
    if (leaves) {
      this.#hasLeft = true;
      this.#call.cancel();
      return;
    }
    process.stdin.pause();
    this.#call
      .write({ machineId: "", message: { $case: "stdin", value: bytes } })
      .then(() => process.stdin.resume())
      .catch(() => undefined);
  };

  [Symbol.dispose](): void {
    if (!this.#hasBegun) return;
    process.stdin.off("data", this.#take);
    // Lets the process end while standard input is open.
    process.stdin.destroy();
  }
}
