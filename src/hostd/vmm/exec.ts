/** Commands that run in a guest beside its workload. */

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** A command to run beside the workload. */
export interface ExecRequest {
  /** Program and arguments; never empty. A program without a slash is looked up in PATH. */
  readonly argv: readonly string[];
  /** Added to the workload's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** As `Workload.user`. Absent: the workload's. */
  readonly user?: string;
  /** Absent: the workload's. */
  readonly workingDir?: string;
  /** Gives the command a terminal. Absent: none, and its output streams are apart. */
  readonly terminal?: TerminalSize;
  /** Leaves standard input open for `write`. Otherwise it is empty. */
  readonly stdin: boolean;
}

/** Some output of a command. `stdout` has all that a command writes to its terminal. */
export interface ExecOutput {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Buffer;
}

/**
 * How a command ended. `interrupted`: it was killed because the workload or the session with the
 * guest ended.
 */
export type ExecEnd =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "signal"; readonly signal: number }
  | { readonly kind: "interrupted"; readonly detail: string };

/**
 * A command that runs. Its output is read from the guest no faster than `output` is iterated, and
 * the command waits meanwhile. A session must be iterated to its end or killed.
 */
export interface ExecSession {
  /** Process id, as the guest's processes see it. */
  readonly pid: number;
  /** Ends when the command has ended and its output is drained. Iterate it once. */
  readonly output: AsyncIterable<ExecOutput>;
  /** Resolves once, not before `output` has ended. Never rejects. */
  readonly ended: Promise<ExecEnd>;
  /** Writes to standard input. Resolves when there is room for more, or the command takes no more. */
  write(bytes: Buffer): Promise<void>;
  /** Ends standard input. On a terminal: sends the character that means so. */
  endInput(): void;
  resize(size: TerminalSize): void;
  /** Sends a signal to the process group of the command; on a terminal, to the one in front. */
  signal(signal: number): void;
  /** Kills the command and all processes of its session. Safe to repeat. */
  kill(): void;
}

/** A process of a guest. */
export interface GuestProcess {
  readonly pid: number;
  /** 0: its parent is not in the guest's namespace. */
  readonly parentPid: number;
  /** Arguments separated by spaces; the name in brackets when there are none. */
  readonly command: string;
  readonly directory: string;
  readonly cpuMs: number;
  /** Processor time in the kernel; part of `cpuMs`. */
  readonly systemMs: number;
  readonly runMs: number;
  readonly residentBytes: number;
  readonly sockets: readonly GuestSocket[];
}

/** A socket that a process listens on. */
export interface GuestSocket {
  readonly protocol: "tcp" | "tcp6" | "udp" | "udp6";
  /** `address:port`, e.g. 0.0.0.0:8080 or [::]:8080. */
  readonly address: string;
}

/** Says why a command does not run. */
export class ExecError extends Error {
  override readonly name = "ExecError";
  /**
   * `failed`: the program cannot be run. `not_running`: the workload has ended. `too_many`: of this
   * guest. `lost`: the guest did not answer, or broke the protocol.
   */
  readonly kind: "failed" | "not_running" | "too_many" | "lost";
  constructor(kind: ExecError["kind"], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
