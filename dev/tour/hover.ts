import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { styleText } from "node:util";
import { UserError } from "../../tools/lib/main.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { run } from "../../tools/lib/run.ts";
import type { Layout } from "../settings/layout.ts";

/** The command line, as a person would use it. */
export class Hover {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;

  constructor(layout: Layout, signal: AbortSignal) {
    this.#environment = { ...process.env, WINDHOVER_DIR: layout.folder };
    this.#signal = signal;
  }

  /** Shows a command and runs it before the user's eyes. */
  async show(...args: readonly string[]): Promise<void> {
    process.stdout.write(`${styleText("bold", `$ hover ${args.join(" ")}`)}\n`);
    const child = spawn(join(ROOT, "bin/hover"), args, {
      stdio: ["ignore", "inherit", "inherit"],
      env: this.#environment,
      signal: this.#signal,
    });
    const [code] = await once(child, "exit");
    process.stdout.write("\n");
    if (code !== 0) throw new UserError(`hover ${args.join(" ")} failed; see above.`);
  }

  /** Runs a command that prints JSON, unseen. */
  async ask(...args: readonly string[]): Promise<unknown> {
    const output = await run(join(ROOT, "bin/hover"), [...args, "--json"], {
      env: this.#environment,
      signal: this.#signal,
    });
    return JSON.parse(output);
  }
}
