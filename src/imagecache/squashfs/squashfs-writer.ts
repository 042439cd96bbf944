import { type ChildProcess, spawn } from "node:child_process";
import { type FileHandle, open, statfs } from "node:fs/promises";
import type { Writable } from "node:stream";
import { Fault } from "../../lib/faults/fault.ts";
import { diskFull } from "../disk/files.ts";
import type { ArchiveSink } from "./write-image.ts";

/**
 * lz4 is fast to unpack in an emulated guest; `--no-skip` fails for entries that cannot be stored. The
 * same archive always gives the same bytes.
 */
const OPTIONS = [
  ...["--quiet", "--force", "--no-skip", "--compressor", "lz4"],
  ...["--num-jobs", "2", "--queue-backlog", "20"],
];
/** Without SOURCE_DATE_EPOCH, which would set the time stamps of directories. */
const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin" };
/** Bytes written at once: a round trip of a pipe costs more than a copy. */
const BATCH = 256 * 1024;
/** Bytes queued for the pipe. Both ends work in bursts, and would often wait without a queue. */
const MAX_QUEUED = 8 * 1024 * 1024;
const MAX_STDERR = 4096;
/** Free bytes of a full disk: fewer than tar2sqfs writes at a time. */
const FULL_BYTES = 1024 * 1024;

/** Writes a squashfs from an archive, through a pipe to `tar2sqfs` of squashfs-tools-ng. */
export class SquashfsWriter implements ArchiveSink {
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #dir: string;
  /** Keeps the disk full when tar2sqfs fails and removes its file, so that the cause can be found. */
  readonly #held: FileHandle;
  readonly #ended: Promise<void>;
  #batch: Buffer[] = [];
  #batched = 0;
  /** Bytes that are not through the pipe yet. */
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
    // The exit of tar2sqfs tells more than the broken pipe.
    stdin.on("error", () => undefined);
    stdin.on("close", () => this.#wake?.());
    stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    this.#ended = this.#watch();
    this.#ended.catch(() => undefined);
  }

  /** Starts to write to `path`. @param dir of the cache, on the same file system */
  static async start(path: string, dir: string): Promise<SquashfsWriter> {
    return new SquashfsWriter(path, dir, await open(path, "w", 0o644));
  }

  /** Writes bytes, which must not change until they are through the pipe. */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#batch.push(bytes);
    this.#batched += bytes.length;
    return this.#batched >= BATCH ? this.#flush() : undefined;
  }

  /** Ends the archive and waits for the image. @throws Fault `DISK_FULL` or INTERNAL / `SQUASH_FAILED` */
  async finish(): Promise<void> {
    await this.#flush();
    this.#stdin.end();
    await this.#ended;
  }

  /** Kills tar2sqfs if it runs, and waits for its end. */
  async abort(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended.catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const size = this.#batched;
    this.#queued += size;
    this.#stdin.cork();
    for (const bytes of this.#batch) this.#stdin.write(bytes);
    // Called when everything before it is written, or cannot be.
    this.#stdin.write("", () => {
      this.#queued -= size;
      this.#wake?.();
    });
    this.#batch = [];
    this.#batched = 0;
    this.#stdin.uncork();
    while (this.#queued > MAX_QUEUED && !this.#stdin.destroyed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    if (!this.#stdin.destroyed) return;
    // tar2sqfs ended before everything was written, which is a failure whatever its status.
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

  /** Makes the fault. tar2sqfs reports a full disk as an "I/O error", as it does other failures. */
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
