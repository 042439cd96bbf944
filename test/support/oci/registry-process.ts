import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bound } from "../servers/bound.ts";

/** How the registry lets people in. */
export interface RegistryProcessOptions {
  /** A line of an htpasswd file (bcrypt, low cost): then Basic authentication is asked for. */
  readonly htpasswd?: string;
}

/** The user and password of {@link TEST_HTPASSWD}. */
export const TEST_LOGIN = { user: "kestrel", password: "windhover-test" } as const;

/** A bcrypt line of cost 4: higher costs are verified on every request and make pulls crawl. */
export const TEST_HTPASSWD = "kestrel:$2y$04$abcdefghijklmnopqrstuu5a49ldqQc3k8/Zh1eerlo26wgsr.4Oa";

/** A private `docker-registry` on a free loopback port, with its storage in a directory of its own. */
export class RegistryProcess implements AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #dir: string;

  private constructor(child: ChildProcess, dir: string, host: string) {
    this.#child = child;
    this.#dir = dir;
    this.host = host;
  }

  /** `http://127.0.0.1:port`. */
  get url(): string {
    return `http://${this.host}`;
  }

  /** Starts one and waits, at most 50 s, until it listens. */
  static async start(options: RegistryProcessOptions = {}): Promise<RegistryProcess> {
    const dir = await mkdtemp(join(tmpdir(), "windhover-registry-"));
    const config = [
      "version: 0.1",
      "log: {level: info}",
      "storage:",
      `  filesystem: {rootdirectory: ${dir}/data}`,
    ];
    config.push("  delete: {enabled: true}", "http: {addr: 127.0.0.1:0}");
    if (options.htpasswd) {
      await writeFile(join(dir, "htpasswd"), `${options.htpasswd}\n`);
      config.push(`auth: {htpasswd: {realm: test, path: ${dir}/htpasswd}}`);
    }
    await writeFile(join(dir, "config.yml"), `${config.join("\n")}\n`);
    const child = spawn(...bound("docker-registry", ["serve", join(dir, "config.yml")]), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      return new RegistryProcess(child, dir, await listening(child));
    } catch (err) {
      child.kill("SIGKILL");
      await rm(dir, { recursive: true, force: true });
      throw err;
    }
  }

  /** Stops it and removes its storage. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exit;
    }
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** The registry picks the port itself and says so in its log. */
function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = "";
    const timer = setTimeout(
      () => reject(new Error(`docker-registry did not listen in 50 s:\n${log}`)),
      50_000,
    );
    const done = (act: () => void) => {
      clearTimeout(timer);
      act();
    };
    child.once("error", (err) => done(() => reject(err)));
    child.once("exit", () => done(() => reject(new Error(`docker-registry ended:\n${log}`))));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        if (log.length < 65_536) log += chunk;
        const found = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
        if (found) done(() => resolve(found));
      });
    }
  });
}
