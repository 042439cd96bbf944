import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "../../../tools/lib/paths.ts";
import { run } from "../../../tools/lib/run.ts";
import type { TestFleet } from "../fleet.ts";

/** Folder of the example. */
export const FAAS = join(ROOT, "examples/faas");

/** The example of functions as a service on a fleet, by its command line. */
export class Faas implements AsyncDisposable {
  readonly env: NodeJS.ProcessEnv;
  readonly #fleet: TestFleet;
  #server: ChildProcess | undefined;
  #output = "";

  private constructor(fleet: TestFleet) {
    this.#fleet = fleet;
    const api = fleet.regions.map(({ api }) => api).join(",");
    this.env = { ...process.env, NODE_OPTIONS: "", WINDHOVER_API: api, WINDHOVER_TOKEN: fleet.token };
  }

  /** Links the client as it is now. */
  static async open(fleet: TestFleet): Promise<Faas> {
    await run("npm", ["--silent", "run", "link"], { cwd: FAAS });
    return new Faas(fleet);
  }

  /** What the server has logged. */
  get output(): string {
    return this.#output;
  }

  deploy(path: string, ...options: readonly string[]): Promise<string> {
    const registry = ["--registry", this.#fleet.registry];
    return run(join(FAAS, "faas"), ["deploy", path, ...registry, ...options], { env: this.env });
  }

  remove(name: string): Promise<string> {
    return run(join(FAAS, "faas"), ["remove", name, "--registry", this.#fleet.registry], { env: this.env });
  }

  /** Starts the server; returns its URL. */
  async serve(...options: readonly string[]): Promise<string> {
    const args = ["serve", "--listen", "127.0.0.1:0", ...options];
    const child = spawn(join(FAAS, "faas"), args, { env: this.env, stdio: ["ignore", "pipe", "inherit"] });
    this.#server = child;
    return await new Promise((resolve, reject) => {
      child.once("exit", () => reject(new Error(`the server has ended:\n${this.#output}`)));
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
        const port = /"listening".*"port":(\d+)/.exec(this.#output)?.[1];
        if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    server.kill("SIGTERM");
    await once(server, "exit");
  }
}
