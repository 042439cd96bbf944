import { Readable, Writable } from "node:stream";
import type { OpenDuplex } from "../calls/caller.ts";
import { WindhoverError } from "../calls/errors.ts";
import type { ExecMachineRequest, ExecMachineResponse } from "../gen/windhover/machines/v1/exec.ts";

type Sent = NonNullable<ExecMachineRequest["message"]>;

/** The server takes messages of up to 1 MiB. */
const CHUNK_BYTES = 64 * 1024;

const KILLED = new WindhoverError("CANCELLED", "CANCELLED", "the command was killed");

/** How a command ended. */
export interface ExecExit {
  /** 128 + signal when a signal ended the command. */
  readonly exitCode: number;
  /** Name of the signal that ended it; empty when it exited by itself. */
  readonly signal: string;
}

/** A command that runs inside a machine. */
export class ExecProcess {
  /** Process id in the guest. */
  readonly pid: number;
  /** Standard input; needs the option `stdin`. Ends with `end()`. */
  readonly stdin: Writable;
  /** Standard output, or the output of the terminal. An async iterable of bytes. */
  readonly stdout: Readable;
  /** Standard error. */
  readonly stderr: Readable;
  /** How it ended. Rejects when that is not known, e.g. as the connection was lost. */
  readonly exit: Promise<ExecExit>;
  readonly #open: OpenDuplex<ExecMachineRequest, ExecMachineResponse>;
  readonly #full = new Set<Readable>();
  #isKilled = false;
  #isOver = false;

  /** @internal */
  constructor(open: OpenDuplex<ExecMachineRequest, ExecMachineResponse>, pid: number) {
    this.#open = open;
    this.pid = pid;
    this.stdout = this.#reader();
    this.stderr = this.#reader();
    this.stdin = this.#input();
    this.exit = this.#receive();
    // A program that does not read the exit must not fail by it.
    this.exit.catch(() => {});
  }

  /** Sets the size of the command's terminal. */
  resize(rows: number, columns: number): void {
    this.#send({ $case: "resize", value: { rows, columns } });
  }

  /** Sends the command a signal, e.g. `SIGINT`. */
  signal(name: string): void {
    this.#send({ $case: "signal", value: name });
  }

  /** Kills the command. */
  kill(): void {
    this.#isKilled = true;
    this.#open.stream.cancel();
  }

  #receive(): Promise<ExecExit> {
    const { stream, error } = this.#open;
    return new Promise((resolve, reject) => {
      const fail = (err: unknown) => {
        this.#isOver = true;
        const converted = this.#isKilled ? KILLED : error(err);
        reject(converted);
        this.stdout.destroy(converted);
        this.stderr.destroy(converted);
        this.stdin.destroy();
      };
      for (const output of [this.stdout, this.stderr]) output.on("error", () => {});
      this.stdin.on("error", () => {});
      stream.on("error", fail);
      stream.on("data", ({ message }: ExecMachineResponse) => {
        if (message?.$case === "stdout") this.#output(this.stdout, message.value);
        else if (message?.$case === "stderr") this.#output(this.stderr, message.value);
        else if (message?.$case === "exit") resolve(message.value);
      });
      stream.once("end", () => {
        this.#isOver = true;
        this.stdout.push(null);
        this.stderr.push(null);
        this.stdin.destroy();
        stream.end();
        // Has no effect after an exit.
        reject(new WindhoverError("UNAVAILABLE", "CONNECTION_LOST", "the stream ended without an exit"));
      });
      stream.resume();
    });
  }

  #output(output: Readable, bytes: Uint8Array): void {
    // Output that is not read any more must not block the command.
    if (bytes.length === 0 || output.destroyed || output.push(bytes)) return;
    this.#full.add(output);
    this.#open.stream.pause();
  }

  /** Makes a stream. Either one that is full holds back the whole, until it is read. */
  #reader(): Readable {
    const hasRoom = () => {
      this.#full.delete(output);
      if (this.#full.size === 0) this.#open.stream.resume();
    };
    const output: Readable = new Readable({
      read: hasRoom,
      destroy: (error, done) => {
        hasRoom();
        done(error);
      },
    });
    return output;
  }

  #input(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        const pieces: Buffer[] = [];
        for (let at = 0; at < chunk.length; at += CHUNK_BYTES)
          pieces.push(chunk.subarray(at, at + CHUNK_BYTES));
        const last = pieces.pop();
        for (const piece of pieces) this.#send({ $case: "stdin", value: piece });
        if (last === undefined) done();
        else if (this.#send({ $case: "stdin", value: last })) done();
        else this.#open.stream.once("drain", () => done());
      },
      final: (done) => {
        this.#send({ $case: "stdinEnd", value: true });
        done();
      },
      destroy: (error, done) => {
        if (!this.stdin.writableFinished) this.#send({ $case: "stdinEnd", value: true });
        done(error);
      },
    });
  }

  /** Returns whether more may be sent at once. Input after the end is lost. */
  #send(message: Sent): boolean {
    const { stream } = this.#open;
    if (this.#isOver || stream.writableEnded || stream.destroyed) return true;
    return stream.write({ machineId: "", message });
  }
}
