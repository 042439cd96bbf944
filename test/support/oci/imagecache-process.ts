import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IMAGECACHE_FLAGS } from "../../../dev/services/services.ts";
import { ImageCacheServiceClient } from "../../../src/gen/windhover/imagecache/v1/imagecache.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { internalTokens } from "../../../src/lib/auth/tokens.ts";
import { connect } from "../../../src/lib/grpc/client.ts";
import { bound } from "../servers/bound.ts";

const MAIN = new URL("../../../src/imagecache/main.ts", import.meta.url).pathname;

/** The image cache as a process of its own, as it runs on a host. Its directory stays when it ends. */
export class ImageCacheProcess implements AsyncDisposable {
  readonly client: ImageCacheServiceClient;
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, privateKey: string) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    const token = internalTokens(privateKey, "test");
    this.client = connect(ImageCacheServiceClient, `127.0.0.1:${port}`, { token });
  }

  /** Starts it on a free port and waits, at most 50 s, until it serves. @param dir holds `cache/` and its key */
  static async start(dir: string, env: Readonly<Record<string, string>> = {}): Promise<ImageCacheProcess> {
    const keys = generateKeyPair();
    await writeFile(join(dir, "1.public.pem"), keys.publicKey);
    const child = spawn(...bound(process.execPath, [...IMAGECACHE_FLAGS, MAIN]), {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        PATH: "/usr/local/bin:/usr/bin:/bin",
        IMAGECACHE_LISTEN: "127.0.0.1:0",
        IMAGECACHE_DIR: join(dir, "cache"),
        REGISTRY_ALLOW_PRIVATE: "127.0.0.1",
        TOKEN_KEYS_DIR: dir,
        ...env,
      },
    });
    return new ImageCacheProcess(child, await ready(child), keys.privateKey);
  }

  /** The most memory it has had so far, in MiB. */
  async peakMemoryMib(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  }

  /** Ends it and waits until it is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.client.close();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill(signal);
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }
}

function ready(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = "";
    const timer = setTimeout(
      () => reject(new Error(`the image cache was not ready in 50 s:\n${log}`)),
      50_000,
    );
    child.once("exit", () => reject(new Error(`the image cache ended:\n${log}`)));
    child.stdout?.on("data", (chunk: Buffer) => {
      if (log.length > 65_536) return;
      log += chunk;
      const port = /"msg":"ready".*?"port":(\d+)/.exec(log)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
  });
}
