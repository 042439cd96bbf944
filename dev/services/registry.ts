import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "../../tools/lib/programs.ts";
import { plainEnvironment } from "../settings/environment.ts";
import type { PartSpec } from "../supervisor/part.ts";

export interface RegistryOptions {
  readonly name?: string;
  /** Of images and configuration. Made when it is not there. */
  readonly folder: string;
  readonly logFile: string;
  /** `host:port`, loopback: anyone who reaches it may push. */
  readonly address: string;
}

/** Debian's `docker-registry` over a folder. */
export function registry(options: RegistryOptions): PartSpec {
  const configuration = join(options.folder, "config.json");
  return {
    name: options.name ?? "registry",
    command: [program("docker-registry"), "serve", configuration],
    environment: plainEnvironment(),
    workingDirectory: "/",
    logFile: options.logFile,
    stopSignal: "SIGTERM",
    stopGraceMs: 5_000,
    orphanSignal: "SIGKILL",
    readyTimeoutMs: 30_000,
    async prepare() {
      mkdirSync(options.folder, { recursive: true, mode: 0o700 });
      writeFileSync(configuration, JSON.stringify(settings(options), undefined, 2));
    },
    async ready(signal) {
      const answer = await fetch(`http://${options.address}/v2/`, { signal });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`the registry answers ${answer.status}`);
    },
  };
}

/** The registry reads YAML, which includes JSON. */
function settings(options: RegistryOptions): unknown {
  return {
    version: 0.1,
    log: { level: "warn", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(options.folder, "images") }, delete: { enabled: true } },
    http: { addr: options.address },
  };
}
