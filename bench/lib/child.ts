import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type BirpcReturn, createBirpc } from "birpc";
import { tool } from "../../tools/lib/paths.ts";

/** A module in its own process, whose functions can be called. They reject when it has ended. */
export class Child<F extends object> implements AsyncDisposable {
  readonly functions: BirpcReturn<F>;
  readonly #process: ChildProcess;

  /** @param module serves `F` by {@link serve} */
  constructor(module: URL) {
    const child = fork(module, [], { execPath: tool("node"), execArgv: [], serialization: "advanced" });
    this.#process = child;
    this.functions = createBirpc<F>(
      {},
      {
        post: (message) => child.send(message),
        on: (listener) => child.on("message", listener),
        timeout: -1,
      },
    );
    child.once("exit", () => this.functions.$close(new Error(`the process of ${module.pathname} has ended`)));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** Lets the parent process call these functions. This process ends with it. */
export function serve(functions: object): void {
  createBirpc(functions, {
    post: (message) => process.send?.(message),
    on: (listener) => process.on("message", listener),
  });
  process.on("disconnect", () => process.exit(0));
}
