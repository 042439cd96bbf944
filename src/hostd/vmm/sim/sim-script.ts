import { LaunchError } from "../vmm.ts";

/** How a simulated workload behaves, read from its argv. */
export interface SimScript {
  readonly launchError: LaunchError | undefined;
  /** The launch does not end by itself. */
  readonly hangs: boolean;
  /** How long it runs before it ends by itself; undefined: without end. */
  readonly runForMs: number | undefined;
  readonly ending: { readonly kind: "exit"; readonly code: number } | { readonly kind: "oom" | "lost" };
  /** Lines it writes when it starts. */
  readonly lines: number;
  /** How it reacts to signals other than SIGKILL: dies, ignores them, or exits with a code. */
  readonly onSignal: "die" | "ignore" | number;
  /** It listens on no port until a test says so. */
  readonly isDeaf?: boolean;
}

/**
 * Reads a script: words with their numbers, anywhere in argv, in any order. Other words are
 * ignored. Without any of these, the workload runs until it gets a signal.
 *
 * `sim-exit N`, `sim-run-for MS`, `sim-log N`, `sim-signal-ignore`, `sim-signal-exit N`, `sim-oom`,
 * `sim-lost`, `sim-deaf`, `sim-exec-fail REASON`, `sim-vmm-fail`, `sim-hang`
 */
export function simScript(argv: readonly string[]): SimScript {
  const number = (word: string): number | undefined => {
    const at = argv.indexOf(word);
    return at < 0 ? undefined : Number(argv[at + 1] ?? 0);
  };
  const has = (word: string): boolean => argv.includes(word);
  const exitCode = number("sim-exit");
  const dies = has("sim-oom") || has("sim-lost");
  const ends = exitCode !== undefined || dies;
  return {
    launchError: launchError(argv),
    hangs: has("sim-hang"),
    runForMs: number("sim-run-for") ?? (ends ? 0 : undefined),
    ending: dies ? { kind: has("sim-oom") ? "oom" : "lost" } : { kind: "exit", code: exitCode ?? 0 },
    lines: number("sim-log") ?? 0,
    onSignal: number("sim-signal-exit") ?? (has("sim-signal-ignore") ? "ignore" : "die"),
    ...(has("sim-deaf") ? { isDeaf: true } : {}),
  };
}

function launchError(argv: readonly string[]): LaunchError | undefined {
  const at = argv.indexOf("sim-exec-fail");
  if (at >= 0) {
    const reason = argv[at + 1] ?? "not_found";
    return new LaunchError("exec", reason, `simulated: ${reason}`);
  }
  return argv.includes("sim-vmm-fail") ? new LaunchError("vmm", "simulated", "simulated failure") : undefined;
}
