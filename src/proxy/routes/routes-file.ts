import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";
import { logger } from "../../lib/runtime/log.ts";
import { writeDurably } from "../../lib/stores/durable-file.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";
import { MACHINE_STATES } from "../machines/machine-state.ts";
import type { Routes } from "./routes.ts";

/** Larger files are neither written nor read. */
const MAX_BYTES = 256 * 1024 * 1024;
const MIN_PAUSE_MS = 1_000;
/** Writing takes at most this part of the process's time. */
const MAX_SHARE = 1 / 50;

const pairs = z.array(z.tuple([z.string(), z.string()])).readonly();
const port = z.object({
  first: z.int(),
  last: z.int(),
  handlers: z.array(z.enum(["http", "tls", "pg_tls", "proxy_proto"])),
  forceHttps: z.boolean(),
  tls: z.object({
    alpn: z.array(z.enum(["h2", "http/1.1"])),
    versions: z.array(z.enum(["TLSv1.2", "TLSv1.3"])),
    defaultSelfSigned: z.boolean(),
  }),
  http: z.object({
    h2Backend: z.boolean(),
    idleTimeoutMs: z.number(),
    headersReadTimeoutMs: z.number(),
    responseHeaders: pairs,
    pristineResponse: z.boolean(),
  }),
  proxyProto: z.enum(["v1", "v2"]),
});
const service = z.object({
  protocol: z.string(),
  internalPort: z.int(),
  ports: z.array(port),
  autostart: z.boolean(),
  autostop: z.enum(["off", "stop", "suspend"]),
  minMachinesRunning: z.int(),
  concurrency: z.object({
    type: z.enum(["connections", "requests"]),
    softLimit: z.int(),
    hardLimit: z.int(),
  }),
  idleTimeoutMs: z.number(),
  wakeTimeoutMs: z.number(),
});
const machine = z.object({
  id: z.string(),
  app: z.string(),
  region: z.string(),
  hostNumber: z.int(),
  services: z.array(service),
  instanceId: z.string(),
  state: z.enum(MACHINE_STATES),
  cordoned: z.boolean(),
  generation: z.number(),
  processGroup: z.string(),
});
const app = z.object({ name: z.string(), org: z.string(), hostnames: z.array(z.string()) });
const host = z.object({ number: z.int(), name: z.string(), region: z.string(), address: z.string() });
const file = z.object({
  position: z.string(),
  apps: z.array(z.unknown()),
  machines: z.array(z.unknown()),
  hosts: z.array(z.unknown()),
  ports: z
    .array(z.tuple([z.int(), z.string()]).readonly())
    .readonly()
    .optional(),
});

/** The file of the routes, for a proxy that starts while no api answers. */
export class RoutesFile {
  readonly #path: string;
  readonly #dump: () => Routes;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = MIN_PAUSE_MS;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, dump: () => Routes) {
    this.#path = path;
    this.#dump = dump;
  }

  /**
   * Reads the routes; undefined when there is no file, or it cannot be read. From a file of another version it takes
   * the entries that it can read, and no position, so that apis send all routes again.
   */
  async load(): Promise<Routes | undefined> {
    try {
      const read = file.parse(JSON.parse(await readFile(this.#path, "utf8")));
      const [apps, machines, hosts] = [
        validOf(app, read.apps),
        validOf(machine, read.machines),
        validOf(host, read.hosts),
      ];
      const missing = [apps, machines, hosts].reduce((sum, each) => sum + each.missing, 0);
      if (missing > 0) logger.warn("some routes could not be read", { path: this.#path, missing });
      const position = missing > 0 ? "" : read.position;
      return { ...read, position, apps: apps.valid, machines: machines.valid, hosts: hosts.valid };
    } catch (error) {
      const isFirst = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isFirst) logger.warn("the routes could not be read", { path: this.#path, error });
      return undefined;
    }
  }

  /** Writes the routes soon: at most once a second, less often when there are many. */
  changed(): void {
    this.#timer ??= setTimeout(() => void this.flush(), this.#pauseMs).unref();
  }

  /** Writes now. Never rejects; the next change tries again. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    try {
      const fromMs = performance.now();
      const content = `${JSON.stringify(this.#dump())}\n`;
      this.#pauseMs = Math.max(MIN_PAUSE_MS, (performance.now() - fromMs) / MAX_SHARE);
      if (content.length > MAX_BYTES) throw new Error(`the routes have more than ${MAX_BYTES} bytes`);
      makePrivateFolder(dirname(this.#path));
      await writeDurably(this.#path, content);
    } catch (error) {
      logger.warn("the routes could not be written", { path: this.#path, error });
    }
  }
}

function validOf<T>(schema: z.ZodType<T>, all: readonly unknown[]): { valid: T[]; missing: number } {
  const valid = all.flatMap((each) => {
    const { data } = schema.safeParse(each);
    return data === undefined ? [] : [data];
  });
  return { valid, missing: all.length - valid.length };
}
