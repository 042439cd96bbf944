import { randomBytes } from "node:crypto";
import { abortable } from "../../../../../lib/runtime/abort.ts";
import { ExecError, type ExecRequest, type ExecSession, type GuestProcess } from "../../../exec.ts";
import { type ExecMessage, execMessage, listMessage } from "../../guest-protocol/exec-messages.ts";
import { OUTPUT_WINDOW, type SendToGuest, Session } from "./exec-session.ts";
import { readProcesses } from "./read-processes.ts";

/** The guest's own limit. */
const MAX_SESSIONS = 64;
const MAX_LIST_BYTES = 2 * 1024 * 1024;

/** The commands of one session with a guest. */
export class ExecSessions {
  readonly #send: SendToGuest;
  readonly #sessions = new Map<bigint, Session>();
  /** Those of an earlier session are other numbers: the guest may still end them. */
  #nextId = randomBytes(7).readUIntBE(0, 6) + 1;

  constructor(send: SendToGuest) {
    this.#send = send;
  }

  /** Runs a command; see `Vm.exec`. */
  run(request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    return this.#begin(signal, request, (id) => execMessage(id, request, OUTPUT_WINDOW));
  }

  /** Lists processes; see `Vm.processes`. */
  async list(signal: AbortSignal): Promise<readonly GuestProcess[]> {
    const session = this.#add(undefined, (id) => listMessage(id, OUTPUT_WINDOW));
    const parts: Buffer[] = [];
    let length = 0;
    const kill = (): void => session.kill();
    signal.addEventListener("abort", kill, { once: true });
    try {
      for await (const { bytes } of session.output) {
        length += bytes.length;
        if (length > MAX_LIST_BYTES) break;
        parts.push(bytes);
      }
      signal.throwIfAborted();
      const end = await abortable(session.ended, signal);
      if (end.kind === "interrupted") throw new ExecError("not_running", end.detail);
      return readProcesses(Buffer.concat(parts));
    } finally {
      session.kill();
      signal.removeEventListener("abort", kill);
    }
  }

  received(message: ExecMessage): void {
    this.#sessions.get(message.id)?.received(message);
  }

  /** Ends all: the channel is closed. */
  close(detail: string): void {
    for (const session of this.#sessions.values()) session.interrupt(detail);
    this.#sessions.clear();
  }

  async #begin(
    signal: AbortSignal,
    request: ExecRequest | undefined,
    make: (id: bigint) => Buffer,
  ): Promise<Session> {
    signal.throwIfAborted();
    const session = this.#add(request, make);
    try {
      await abortable(session.started, signal);
      return session;
    } catch (err) {
      session.kill();
      throw err;
    }
  }

  #add(request: ExecRequest | undefined, make: (id: bigint) => Buffer): Session {
    if (this.#sessions.size >= MAX_SESSIONS)
      throw new ExecError("too_many", `${MAX_SESSIONS} commands run in the guest already`);
    const id = BigInt(this.#nextId++);
    const session = new Session(id, request, this.#send, () => this.#sessions.delete(id));
    this.#sessions.set(id, session);
    this.#send(make(id));
    return session;
  }
}
