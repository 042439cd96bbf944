import type { Socket } from "node:net";
import { abortable } from "../../../../lib/runtime/abort.ts";
import { TimeLimit } from "../../../../lib/runtime/wait.ts";

/** QEMU's messages are a few kilobytes. */
const MAX_MESSAGE_CHARS = 1024 * 1024;
const COMMAND_TIMEOUT_MS = 10_000;
const MAX_EVENTS = 64;

class QmpError extends Error {
  override readonly name = "QmpError";
  readonly errorClass: string;
  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface PendingCommand {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A connection to QEMU's monitor (QEMU Machine Protocol). Commands need not wait for answers. */
export class Qmp {
  /** Resolves when the connection has ended, which is when QEMU has. */
  readonly closed: Promise<void>;
  /** The latest events, oldest first. */
  readonly events: QmpEvent[] = [];
  readonly #socket: Socket;
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #pending = new Map<number, PendingCommand>();
  readonly #greeting = Promise.withResolvers<void>();
  #buffered = "";
  #nextId = 1;

  /** Use {@link open}. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#greeting.promise.catch(() => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#rejectAll();
        resolve();
      });
    });
    // "close" follows.
    socket.on("error", () => {});
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#onData(text));
  }

  /** Waits for QEMU's greeting on a new connection and enters command mode. */
  static async open(socket: Socket, timeoutMs = COMMAND_TIMEOUT_MS): Promise<Qmp> {
    const qmp = new Qmp(socket);
    using limit = new TimeLimit(timeoutMs, undefined, () => new Error(`no greeting within ${timeoutMs} ms`));
    try {
      await abortable(qmp.#greeting.promise, limit.signal);
      await qmp.execute("qmp_capabilities", {}, timeoutMs);
      return qmp;
    } catch (err) {
      socket.destroy();
      throw err;
    }
  }

  /** Runs a command. Rejects with QmpError when QEMU refuses it, and after `timeoutMs`. */
  execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    timeoutMs = COMMAND_TIMEOUT_MS,
  ): Promise<unknown> {
    if (this.#socket.destroyed) return Promise.reject(closedError(command));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`${command}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#pending.set(id, { command, resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** Runs a command that QMP lacks in the human monitor. Returns its output: "" is success. */
  async executeHuman(line: string): Promise<string> {
    return String(await this.execute("human-monitor-command", { "command-line": line })).trim();
  }

  /** Waits for an event. Rejects when the connection ends, or with the signal's reason. */
  async event(matches: (event: QmpEvent) => boolean, signal: AbortSignal): Promise<QmpEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    const listener = (event: QmpEvent): void => {
      if (matches(event)) resolve(event);
    };
    void this.closed.then(() => reject(closedError("event")));
    this.#listeners.add(listener);
    try {
      return await abortable(promise, signal);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Ends the connection, not QEMU. */
  close(): void {
    this.#socket.destroy();
  }

  #onData(text: string): void {
    this.#buffered += text;
    if (this.#buffered.length > MAX_MESSAGE_CHARS) {
      this.#socket.destroy();
      return;
    }
    const lines = this.#buffered.split("\n");
    this.#buffered = lines.pop() ?? "";
    for (const line of lines) this.#onMessage(parseObject(line));
  }

  #onMessage(message: Record<string, unknown>): void {
    if (message["QMP"] !== undefined) {
      this.#greeting.resolve();
    } else if (typeof message["event"] === "string") {
      const event = { name: message["event"], data: asObject(message["data"]) };
      this.events.push(event);
      if (this.events.length > MAX_EVENTS) this.events.shift();
      for (const listener of this.#listeners) listener(event);
    } else {
      this.#onAnswer(message);
    }
  }

  #onAnswer(message: Record<string, unknown>): void {
    const id = Number(message["id"]);
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (message["error"] === undefined) {
      pending.resolve(message["return"]);
    } else {
      const error = asObject(message["error"]);
      pending.reject(new QmpError(pending.command, String(error["class"]), String(error["desc"])));
    }
  }

  #rejectAll(): void {
    this.#greeting.reject(closedError("greeting"));
    for (const { command, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(closedError(command));
    }
    this.#pending.clear();
  }
}

function closedError(what: string): Error {
  return new Error(`${what}: QEMU has closed its monitor`);
}

function parseObject(line: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(line));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  // A JSON object has string keys; their values stay unknown.
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
