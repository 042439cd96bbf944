import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { plainEnvironment } from "../../../dev/settings/environment.ts";
import { freePorts } from "../../../dev/settings/ports.ts";
import { Part } from "../../../dev/supervisor/part.ts";
import { program } from "../../../tools/lib/programs.ts";
import { startOrRemove, temporaryFolder } from "../../support/temporary.ts";

/** One series at one time. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds since the epoch, and the value in digits. */
  readonly value: readonly [time: number, value: string];
}

/** What a target says of a metric. */
export interface Metadata {
  readonly target: Readonly<Record<string, string>>;
  readonly metric: string;
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** What Prometheus knows of a target. */
export interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly lastError: string;
}

/** A point of a histogram with the trace that it stands for. */
export interface Exemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

/** A rule as Prometheus has loaded it. */
export interface LoadedRule {
  readonly name: string;
  readonly type: "alerting" | "recording";
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
}

/** A Prometheus of one's own, with its HTTP API. */
export interface Prometheus {
  /** `http://host:port`. */
  readonly url: string;
  /** @throws Error with what Prometheus says of an expression it does not understand */
  query(expression: string): Promise<readonly Sample[]>;
  metadata(job: string): Promise<readonly Metadata[]>;
  targets(): Promise<readonly Target[]>;
  rules(): Promise<readonly LoadedRule[]>;
  exemplars(selector: string): Promise<readonly Exemplar[]>;
  close(): Promise<void>;
}

/** Besides folders and addresses. */
export const PROMETHEUS_FLAGS = ["--enable-feature=exemplar-storage"];

const TIMEOUT_MS = 20_000;

/** Starts Debian's Prometheus on a free port with this configuration, in YAML. */
export async function startPrometheus(configuration: string): Promise<Prometheus> {
  const scratch = temporaryFolder("prometheus");
  const file = join(scratch.path, "prometheus.yml");
  writeFileSync(file, configuration);
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const part = new Part({
    name: "prometheus",
    command: [
      program("prometheus"),
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(scratch.path, "data")}`,
      `--web.listen-address=${address}`,
      ...PROMETHEUS_FLAGS,
    ],
    environment: plainEnvironment(),
    workingDirectory: scratch.path,
    logFile: join(scratch.path, "log"),
    stopSignal: "SIGTERM",
    stopGraceMs: 5_000,
    orphanSignal: "SIGKILL",
    readyTimeoutMs: 60_000,
    async ready(signal) {
      const answer = await fetch(`http://${address}/-/ready`, { signal });
      await answer.body?.cancel();
      if (!answer.ok) throw new Error(`Prometheus answers ${answer.status}`);
    },
  });
  await startOrRemove(part, scratch);
  const ask = (path: string, parameters: Record<string, string>) => api(address, path, parameters);
  return {
    url: `http://${address}`,
    // The shapes are those of the documented HTTP API, version 1.
    query: async (query) => ((await ask("query", { query })) as { result: readonly Sample[] }).result,
    metadata: async (job) =>
      (await ask("targets/metadata", { match_target: `{job="${job}"}` })) as readonly Metadata[],
    targets: async () =>
      ((await ask("targets", { state: "active" })) as { activeTargets: readonly Target[] }).activeTargets,
    rules: async () => {
      const { groups } = (await ask("rules", {})) as { groups: readonly { rules: readonly LoadedRule[] }[] };
      return groups.flatMap((group) => group.rules);
    },
    exemplars: async (query) => {
      const [start, end] = ["0", String(Date.now() / 1_000 + 60)];
      const series = (await ask("query_exemplars", { query, start, end })) as {
        readonly exemplars: readonly Exemplar[];
      }[];
      return series.flatMap(({ exemplars }) => exemplars);
    },
    async close() {
      await part.stop();
      scratch.remove();
    },
  };
}

async function api(address: string, path: string, parameters: Record<string, string>): Promise<unknown> {
  const url = `http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const { status, data, error } = Object(await answer.json());
  if (status !== "success") throw new Error(`${path}: ${error}`);
  return data;
}
