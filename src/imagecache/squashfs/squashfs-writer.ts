import { type ChildProcess, spawn } from "node:child_process";
import { type FileHandle, open, statfs } from "node:fs/promises";
import type { Writable } from "node:stream";
import { Fault } from "../../lib/runtime/fault.ts";
import { diskFull } from "../disk/files.ts";
import type { ArchiveSink } from "./write-image.ts";

/**
 * lz4, because the guest decompresses, possibly under emulation; one queue of blocks per processor; abort rather than skip
 * what cannot be stored. The same archive always gives the same bytes.
 */
const OPTIONS = [
  "--quiet",
  "--force",
  "--no-skip",
  "--compressor",
  "lz4",
  "--num-jobs",
  "2",
  "--queue-backlog",
  "20",
];
/** Nothing of ours: it would take the time stamps of directories from SOURCE_DATE_EPOCH, for one. */
const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin" };
/** Fewer, larger writes: a pipe's round trip costs more than a copy. */
const BATCH = 256 * 1024;
/** Both ends work in bursts; without slack between them each waits for the other half of the time. */
const MAX_QUEUED = 8 * 1024 * 1024;
const MAX_STDERR = 4096;
/** Less than what tar2sqfs writes at a time. */
const FULL_BYTES = 1024 * 1024;

/** Writes a squashfs from an archive, with `tar2sqfs` of squashfs-tools-ng at the other end of a pipe. */
export class SquashWriter implements ArchiveSink {
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #dir: string;
  /** Keeps the file's blocks taken when tar2sqfs removes it in failing, so that a full disk still looks full. */
  readonly #held: FileHandle;
  readonly #ended: Promise<void>;
  #batch: Buffer[] = [];
  #batched = 0;
  /** Bytes handed to the pipe and not yet through it. */
  #queued = 0;
  #wake: (() => void) | undefined;
  #stderr = "";

  private constructor(path: string, dir: string, held: FileHandle) {
    this.#dir = dir;
    this.#held = held;
    this.#child = spawn("tar2sqfs", [...OPTIONS, path], {
      stdio: ["pipe", "ignore", "pipe"],
      env: ENVIRONMENT,
    });
    const { stdin, stderr } = this.#child;
    if (stdin === null || stderr === null) throw new Error("spawned without pipes");
    this.#stdin = stdin;
    // When the other end dies, its exit tells more than the broken pipe.
    stdin.on("error", () => undefined);
    stdin.on("close", () => this.#wake?.());
    stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    this.#ended = this.#watch();
    this.#ended.catch(() => undefined);
  }

  /** Starts writing an image to `path`. @param dir the cache's directory, on the same file system */
  static async start(path: string, dir: string): Promise<SquashWriter> {
    return new SquashWriter(path, dir, await open(path, "w", 0o644));
  }

  /** The bytes must stay as they are until they are written. */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#batch.push(bytes);
    this.#batched += bytes.length;
    return this.#batched >= BATCH ? this.#flush() : undefined;
  }

  /** Ends the archive and waits for the image to be complete. @throws Fault `DISK_FULL` or INTERNAL / `SQUASH_FAILED` */
  async finish(): Promise<void> {
    await this.#flush();
    this.#stdin.end();
    await this.#ended;
  }

  /** Breaks it off, if it still runs, and waits until it is gone. */
  async abort(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended.catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const size = this.#batched;
    this.#queued += size;
    this.#stdin.cork();
    for (const bytes of this.#batch) this.#stdin.write(bytes);
    // Called when all before it is written, or never will be.
    this.#stdin.write("", () => {
      this.#queued -= size;
      this.#wake?.();
    });
    this.#batch = [];
    this.#batched = 0;
    this.#stdin.uncork();
    while (this.#queued > MAX_QUEUED && !this.#stdin.destroyed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (!this.#stdin.destroyed) return;
    // The writer ended before all was written: whatever it said, that is a failure.
    await this.#ended;
    throw await this.#failed("it ended early");
  }

  async #watch(): Promise<void> {
    const exit = new Promise<string | number | null>((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => resolve(signal ?? code));
    });
    try {
      const status = await exit.catch((cause: unknown) => {
        const message = "tar2sqfs could not be started; install squashfs-tools-ng";
        throw new Fault("FAILED_PRECONDITION", "SQUASH_TOOL_MISSING", message, {}, { cause });
      });
      if (status !== 0) throw await this.#failed(`it ended with ${status}`);
    } finally {
      await this.#held.close();
    }
  }

  /** tar2sqfs calls a full disk an "I/O error", like everything else that goes wrong in writing. */
  async #failed(how: string): Promise<Fault> {
    const { bavail, bsize } = await statfs(this.#dir);
    if (/I\/O error/.test(this.#stderr) && bavail * bsize < FULL_BYTES) {
      return diskFull(this.#dir, "the file system is full", {});
    }
    const cause = new Error(`tar2sqfs: ${how}: ${this.#stderr.trim()}`);
    const message = "the root file system could not be written; the image cache's log says why";
    return new Fault("INTERNAL", "SQUASH_FAILED", message, {}, { cause });
  }
}
