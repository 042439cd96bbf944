import type { Socket } from "node:net";
import { abortable } from "../../../../lib/runtime/abort.ts";

/** Longest message taken from QEMU; its answers are a few kilobytes. */
const MAX_MESSAGE = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_EVENTS = 64;

/** QEMU refused a command. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  readonly errorClass: string;
  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.errorClass = errorClass;
  }
}

/** An event QEMU reported on its own. */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Speaks QEMU's monitor protocol over one connection: commands are told apart by id, each has a deadline, and when the connection
 * ends, so does everything that waits.
 */
export class Qmp {
  /** Resolves when the connection has ended, which is when QEMU has. */
  readonly closed: Promise<void>;
  /** The latest events, oldest first. */
  readonly events: QmpEvent[] = [];
  private readonly socket: Socket;
  private readonly watchers = new Set<(event: QmpEvent) => void>();
  private readonly pending = new Map<number, Pending>();
  private buffered = "";
  private nextId = 1;
  private greeted: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.failAll(new Error("QEMU has closed its monitor"));
        resolve();
      });
    });
    // "close" follows, and says all there is to say.
    socket.on("error", () => {});
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.take(text));
  }

  /** Greets QEMU on a fresh connection. */
  static async open(socket: Socket, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Qmp> {
    const qmp = new Qmp(socket);
    try {
      await qmp.greeting(timeoutMs);
      await qmp.execute("qmp_capabilities", {}, timeoutMs);
      return qmp;
    } catch (err) {
      socket.destroy();
      throw err;
    }
  }

  /** Runs a command and returns its answer. Rejects with QmpError when QEMU refuses, and when no answer comes in time. */
  execute(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<unknown> {
    if (this.socket.destroyed) return Promise.reject(new Error(`${command}: QEMU has closed its monitor`));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new Error(`${command}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      this.pending.set(id, { command, resolve, reject, timer });
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** Runs a command of QEMU's human monitor, for what the protocol proper lacks. Returns what it printed: "" is success. */
  async human(line: string): Promise<string> {
    return String(await this.execute("human-monitor-command", { "command-line": line })).trim();
  }

  /** Waits for an event that has not come yet. Rejects when the connection ends, or with the signal's reason. */
  async event(isWanted: (event: QmpEvent) => boolean, signal: AbortSignal): Promise<QmpEvent> {
    const { promise, resolve, reject } = Promise.withResolvers<QmpEvent>();
    const watcher = (event: QmpEvent): void => {
      if (isWanted(event)) resolve(event);
    };
    void this.closed.then(() => reject(new Error("QEMU has closed its monitor")));
    this.watchers.add(watcher);
    try {
      return await abortable(promise, signal);
    } finally {
      this.watchers.delete(watcher);
    }
  }

  /** Ends the connection, not QEMU. */
  close(): void {
    this.socket.destroy();
  }

  private greeting(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no greeting within ${timeoutMs} ms`)), timeoutMs);
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        then();
      };
      this.greeted = () => settle(resolve);
      void this.closed.then(() => settle(() => reject(new Error("QEMU has closed its monitor"))));
    });
  }

  private take(text: string): void {
    this.buffered += text;
    if (this.buffered.length > MAX_MESSAGE) {
      this.socket.destroy(new Error("message is too long"));
      return;
    }
    const lines = this.buffered.split("\n");
    this.buffered = lines.pop() ?? "";
    for (const line of lines) this.dispatch(line);
  }

  private dispatch(line: string): void {
    const message = parseObject(line);
    if (message === undefined) return;
    if (message["QMP"] !== undefined) {
      this.greeted?.();
    } else if (typeof message["event"] === "string") {
      const event = { name: message["event"], data: asObject(message["data"]) ?? {} };
      this.events.push(event);
      for (const watcher of this.watchers) watcher(event);
      if (this.events.length > MAX_EVENTS) this.events.shift();
    } else {
      this.answer(message);
    }
  }

  private answer(message: Record<string, unknown>): void {
    const id = Number(message["id"]);
    const waiting = this.pending.get(id);
    if (waiting === undefined) return;
    this.pending.delete(id);
    clearTimeout(waiting.timer);
    const error = asObject(message["error"]);
    if (error === undefined) waiting.resolve(message["return"]);
    else waiting.reject(new QmpError(waiting.command, String(error["class"]), String(error["desc"])));
  }

  private failAll(cause: Error): void {
    for (const { reject, timer } of this.pending.values()) {
      clearTimeout(timer);
      reject(cause);
    }
    this.pending.clear();
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    return asObject(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  // A JSON object has string keys; what they hold stays unknown.
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}
