import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { describeError, logger } from "../../../../lib/runtime/log.ts";
import type { LogLine, VmSink } from "../../vmm.ts";
import type { GuestLine } from "./protocol.ts";

/** Lines that wait for a slow sink, in bytes, before we stop listening; a guest that keeps to the protocol sends less. */
const MAX_WAITING = 1024 * 1024;
/** What a line costs besides its text. */
const LINE_OVERHEAD = 64;

/** What the pump needs of the conversation. */
export interface LineSource {
  ack(number: number): void;
  setPaused(isPaused: boolean): void;
}

/**
 * Hands a guest's lines to the sink, one after the other, each exactly once: it notes the number of the last one taken in a file, so
 * that a hostd that was killed goes on behind it.
 */
export class LogPump {
  private readonly sink: VmSink;
  private readonly toLogLine: (line: GuestLine) => LogLine;
  private readonly source: LineSource;
  private readonly fd: number;
  private readonly waiting: GuestLine[] = [];
  private bytes = 0;
  private last: number;
  private taken: number;
  private work: Promise<void> | undefined;
  private isClosed = false;
  private hasFailed = false;
  private arrival: { readonly number: number; readonly resolve: () => void } | undefined;

  constructor(file: string, sink: VmSink, toLogLine: (line: GuestLine) => LogLine, source: LineSource) {
    this.sink = sink;
    this.toLogLine = toLogLine;
    this.source = source;
    this.taken = this.last = readCursor(file);
    // Made when missing, kept when not, and written at its start: no flag by name says all three.
    this.fd = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** Number of the last line the sink has taken. */
  get takenUpTo(): number {
    return this.taken;
  }

  /** Takes lines as they come; those it has seen are dropped. */
  push(lines: readonly GuestLine[]): void {
    for (const line of lines) {
      if (line.number <= this.last || this.isClosed) continue;
      this.last = line.number;
      this.waiting.push(line);
      this.bytes += line.text.length + LINE_OVERHEAD;
    }
    if (this.bytes > MAX_WAITING) this.source.setPaused(true);
    if (this.waiting.length > 0) this.work ??= this.deliver();
    if (this.arrival && this.last >= this.arrival.number) this.arrival.resolve();
  }

  /** Resolves when the line of that number has come, or after `timeoutMs`, and all that have come are with the sink. */
  async reached(number: number, timeoutMs: number): Promise<void> {
    if (this.last < number) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.arrival = {
          number,
          resolve: () => {
            clearTimeout(timer);
            resolve();
          },
        };
      });
    }
    await this.drained();
  }

  /** Resolves when all lines that have come are with the sink. */
  async drained(): Promise<void> {
    while (this.work !== undefined) await this.work;
  }

  /** Delivers nothing more. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.waiting.length = 0;
    closeSync(this.fd);
  }

  private async deliver(): Promise<void> {
    for (let line = this.waiting.shift(); line && !this.isClosed; line = this.waiting.shift()) {
      await this.hand(line);
      if (this.isClosed) break;
      this.taken = line.number;
      writeCursor(this.fd, line.number);
      this.bytes -= line.text.length + LINE_OVERHEAD;
      if (this.bytes <= MAX_WAITING / 2) this.source.setPaused(false);
    }
    this.work = undefined;
    if (!this.isClosed) this.source.ack(this.taken);
  }

  /** A sink that fails costs the line, not the machine. */
  private async hand(line: GuestLine): Promise<void> {
    try {
      await this.sink.onLog(this.toLogLine(line));
    } catch (err) {
      if (!this.hasFailed) logger.error("log sink failed, lines are lost", { error: describeError(err) });
      this.hasFailed = true;
    }
  }
}

/** Reads the number a pump noted in `file`; 0 when there is none. */
export function readCursor(file: string): number {
  try {
    const noted = readFileSync(file);
    return noted.length === 8 ? Number(noted.readBigUInt64LE()) : 0;
  } catch {
    return 0;
  }
}

function writeCursor(fd: number, number: number): void {
  const note = Buffer.allocUnsafe(8);
  note.writeBigUInt64LE(BigInt(number));
  writeSync(fd, note, 0, 8, 0);
}
