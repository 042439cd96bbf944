import { join } from "node:path";
import { styleText } from "node:util";
import { UserError } from "../../tools/lib/errors.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { run, runInTerminal } from "../../tools/lib/run.ts";
import type { Layout } from "../settings/layout.ts";

const HOVER = join(ROOT, "bin/hover");

export class Hover {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;

  constructor(layout: Layout, signal: AbortSignal) {
    this.#environment = { ...process.env, WINDHOVER_DIR: layout.folder };
    this.#signal = signal;
  }

  async show(...args: readonly string[]): Promise<void> {
    process.stdout.write(`${styleText("bold", `$ hover ${args.join(" ")}`)}\n`);
    const env = this.#environment;
    const stdio = ["ignore", "inherit", "inherit"] as const;
    const code = await runInTerminal(HOVER, args, this.#signal, { env, stdio: [...stdio] });
    process.stdout.write("\n");
    this.#signal.throwIfAborted();
    if (code !== 0) throw new UserError(`hover ${args.join(" ")} failed; see above.`);
  }

  /** Runs a command and parses the JSON that it prints. */
  async ask(...args: readonly string[]): Promise<unknown> {
    const options = { env: this.#environment, signal: this.#signal };
    return JSON.parse(await run(HOVER, [...args, "--json"], options));
  }
}
