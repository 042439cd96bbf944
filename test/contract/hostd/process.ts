import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bound } from "../../support/servers/bound.ts";

const MAIN = join(import.meta.dirname, "../../../src/hostd/main.ts");

/** Environment of a simulated host 7 in its own folder, without apis and schedulers. */
export function hostdEnvironment(folder: string, neighbours: { readonly images: string }) {
  return {
    HOSTD_LISTEN: "127.0.0.1:0",
    HOSTD_NUMBER: "7",
    HOSTD_NAME: "host-7",
    HOSTD_REGION: "ord",
    HOSTD_DIR: join(folder, "state"),
    HOSTD_IMAGECACHE: neighbours.images,
    HOSTD_VMM: "sim",
    HOSTD_MEMORY_MB: "4096",
    HOSTD_GRACE: "200ms",
    TOKEN_KEYS_DIR: folder,
  };
}

/** Runs hostd. Returns its log lines, and its port when it is ready. */
export function spawnHostd(env: Record<string, string>, argv: readonly string[] = []) {
  const child = spawn(...bound(process.execPath, [MAIN, ...argv]), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: Record<string, unknown>[] = [];
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const ready = new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on("line", (text) => {
      if (!text.startsWith("{")) return;
      const line = JSON.parse(text);
      lines.push(line);
      if (line.msg === "ready") resolve(line.port);
    });
    child.once("exit", (code) =>
      reject(new Error(`hostd ended with ${code}: ${errors}${JSON.stringify(lines.at(-1))}`)),
    );
  });
  ready.catch(() => {});
  return { child, lines, ready, errors: () => errors };
}

/** Ends it at once, if it has not ended. */
export async function killHostd(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
