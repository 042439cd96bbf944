import { type ChildProcess, spawn } from "node:child_process";
import type { Writable } from "node:stream";
import { Fault } from "../../lib/faults/fault.ts";
import { crashed, notStorable, outOfMemory } from "./build-faults.ts";
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
/** Of a shell, and of prlimit, for a command that is not there. */
const NOT_FOUND = 127;

export interface SquashLimits {
  /** Of the squashfs. */
  readonly maxBytes: number;
  /** Of tar2sqfs. */
  readonly memoryBytes: number;
}

/** Writes a squashfs from an archive, through a pipe to `tar2sqfs` of squashfs-tools-ng. */
export class SquashfsWriter implements ArchiveSink {
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  readonly #limits: SquashLimits;
  readonly #ended: Promise<void>;
  #batch: Buffer[] = [];
  #batched = 0;
  /** Bytes that are not through the pipe yet. */
  #queued = 0;
  #wake: (() => void) | undefined;
  #stderr = "";
  #isAborted = false;

  /** Starts to write to `path`. */
  constructor(path: string, limits: SquashLimits) {
    this.#limits = limits;
    const { maxBytes, memoryBytes } = limits;
    const limited = [`--fsize=${maxBytes}`, `--data=${memoryBytes}`, "--core=0", "--", "tar2sqfs"];
    this.#child = spawn("prlimit", [...limited, ...OPTIONS, path], {
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

  /** Writes bytes, which must not change until they are through the pipe. */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#batch.push(bytes);
    this.#batched += bytes.length;
    return this.#batched >= BATCH ? this.#flush() : undefined;
  }

  /**
   * Ends the archive and waits for the image.
   *
   * @throws Fault `IMAGE_TOO_LARGE`, `IMAGE_BUILD_FAILED`, `SQUASH_TOOL_MISSING` or INTERNAL / `SQUASH_FAILED`
   */
  async finish(): Promise<void> {
    await this.#flush();
    this.#stdin.end();
    await this.#ended;
  }

  /** Kills tar2sqfs if it runs, and waits for its end. */
  async abort(): Promise<void> {
    this.#isAborted = true;
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
    throw this.#failed("an early end");
  }

  async #watch(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<string | number | null>();
    this.#child.once("error", reject);
    this.#child.once("close", (code, signal) => resolve(signal ?? code));
    const status = await promise.catch((cause: unknown) => {
      throw toolMissing("prlimit", "util-linux", cause);
    });
    if (status === NOT_FOUND) throw toolMissing("tar2sqfs", "squashfs-tools-ng", this.#stderr);
    if (status !== 0) throw this.#failed(status);
  }

  #failed(status: string | number | null): Fault {
    const cause = new Error(`tar2sqfs ended with ${status}: ${this.#stderr.trim()}`);
    const { maxBytes, memoryBytes } = this.#limits;
    if (status === "SIGXFSZ") return tooLarge(maxBytes, cause);
    if (/out of memory|cannot allocate/i.test(this.#stderr)) return outOfMemory(memoryBytes, cause);
    // The kernel kills like this when the host has no memory left.
    if (status === "SIGKILL" && !this.#isAborted) return outOfMemory(memoryBytes, cause);
    // The last three are what a service is stopped with.
    if (/^SIG(?!KILL|TERM|INT|HUP)/.test(String(status))) return crashed(String(status), cause);
    // What is left are errors of the disk, and what a squashfs or tar2sqfs cannot hold: too many owners, say.
    const isOfImage = typeof status === "number" && !/I\/O error|No space|quota/i.test(this.#stderr);
    if (isOfImage) return notStorable(this.#stderr, cause);
    const message = "the root file system could not be written; the image cache's log says why";
    return new Fault("INTERNAL", "SQUASH_FAILED", message, {}, { cause });
  }
}

function toolMissing(program: string, pkg: string, cause: unknown): Fault {
  const message = `${program} could not be started; install ${pkg}`;
  return new Fault("FAILED_PRECONDITION", "SQUASH_TOOL_MISSING", message, { program }, { cause });
}

function tooLarge(limit: number, cause: unknown): Fault {
  const message = `its root file system takes more than the ${limit} bytes that its layers unpack to`;
  return new Fault("FAILED_PRECONDITION", "IMAGE_TOO_LARGE", message, { limit: `${limit} bytes` }, { cause });
}
