import { spawn } from "node:child_process";
import { once } from "node:events";
import { freePorts } from "../../../dev/settings/ports.ts";
import { guestFolder } from "../../../tools/lib/paths.ts";
import { freeRun } from "../crash/free-run.ts";

/** How long one command of a document may take. */
export const COMMAND_TIMEOUT_MS = 240_000;

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/**
 * Makes the environment of a fleet of a document's own: on free ports, which replace those of the
 * document in `names`.
 */
export async function freshEnvironment(names: Map<string, string>): Promise<NodeJS.ProcessEnv> {
  const settings = [
    ["API_LISTEN", "7070"],
    ["SCHEDULER_LISTEN", "7071"],
    ["REGISTRY_LISTEN", "5000"],
    ["TRACES_LISTEN", "4318"],
    ["TRACES_GRPC_LISTEN", "4317"],
    ["API_METRICS_LISTEN", "9100"],
    ["API_REST_LISTEN", "7080"],
    ["SCHEDULER_METRICS_LISTEN", "9101"],
    ["PROXY_LISTEN", "8080"],
    ["PROXY_TLS_LISTEN", "8443"],
    ["PROXY_METRICS_LISTEN", "9109"],
    ["FAAS_LISTEN", "8090"],
  ] as const;
  const ports = await freePorts(settings.length);
  const addresses = settings.map(([name, port], index) => {
    names.set(`127.0.0.1:${port}`, `127.0.0.1:${ports[index]}`);
    return [name, `127.0.0.1:${ports[index]}`];
  });
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|NODE_|VITEST|WINDHOVER_)/.test(name),
  );
  return {
    ...Object.fromEntries([...inherited, ...addresses]),
    HOSTS_FIRST_PORT: String(await freeRun(4)),
    HOSTS_FIRST_METRICS_PORT: String(await freeRun(4)),
    MACHINES_FIRST_PORT: "23000",
    // Made once for all tests.
    WINDHOVER_GUEST_DIR: guestFolder(),
  };
}

/** A command of a document, under way. */
export class DocumentCommand {
  /** Ends with the command. */
  readonly ended: Promise<Ended>;
  readonly #pid: number | undefined;
  #output = "";
  #isEnded = false;
  #check: () => void = () => {};

  constructor(command: string, cwd: string, env: NodeJS.ProcessEnv, isReplaced = false) {
    const child = spawn("sh", ["-c", `exec 2>&1\n${isReplaced ? "exec " : ""}${command}`], {
      ...{ cwd, env },
      // A process group of its own, so that a signal reaches all of it, as Ctrl-C does.
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#pid = child.pid;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#check();
    });
    this.ended = once(child, "close").then(([code]) => {
      this.#isEnded = true;
      this.#check();
      return { code, output: this.#output };
    });
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until it prints a text, or ends. */
  prints(text: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (this.#isEnded || text.test(this.#output)) resolve();
      };
      this.#check();
    });
  }

  /** Signals all of its processes. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#isEnded && this.#pid !== undefined) process.kill(-this.#pid, signal);
  }
}

/** Runs a command to its end. Interrupts it once it prints `ready`. */
export async function runCommand(
  command: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  ready?: RegExp,
): Promise<Ended> {
  const running = new DocumentCommand(command, cwd, env, ready !== undefined);
  const timer = setTimeout(() => running.signal("SIGTERM"), COMMAND_TIMEOUT_MS);
  try {
    if (ready) {
      await running.prints(ready);
      running.signal("SIGINT");
    }
    return await running.ended;
  } finally {
    clearTimeout(timer);
  }
}
