import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePorts } from "../../dev/settings/ports.ts";
import type { Part } from "../../dev/supervisor/part.ts";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { run } from "../../tools/lib/run.ts";
import { configOf } from "../support/clients.ts";
import { traceOf } from "../support/telemetry/trace-coverage.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { namedMetrics, OF_THE_COLLECTOR } from "../system/prometheus/named-metrics.ts";
import { type Prometheus, startPrometheus } from "../system/prometheus/prometheus-server.ts";
import { openWorld, type World } from "../system/world/world.ts";
import { COLLECTOR_COMMAND, JAEGER_COMMAND } from "./commands.ts";
import { buildCollector, buildJaeger, startProgram } from "./programs.ts";

const OTEL = join(ROOT, "otel");
const STARTS = 12;
const SCRAPED = { timeout: 60_000, interval: 500 };
/** What the collector counts when an exporter has failed. */
const AFTER_FAULTS = ["otelcol_exporter_send_failed_spans_total"];

describe("a fleet whose spans go through otel/collector.yaml to its receiver, Jaeger and Prometheus", () => {
  const scratch = temporaryFolder("otel");
  let world: World;
  let prometheus: Prometheus;
  const parts: Part[] = [];
  /** Ports by what listens there. */
  const at = {} as Record<
    "grpc" | "http" | "health" | "metrics" | "own" | "jaeger" | "jaegerHealth" | "page" | "pageGrpc",
    string
  >;
  /** Ids of the traces of starts. */
  const quick: string[] = [];
  let failed = "";

  beforeAll(async () => {
    const [collector, jaeger] = [await buildCollector(), await buildJaeger()];
    const ports = await freePorts(9);
    for (const [index, name] of (
      ["grpc", "http", "health", "metrics", "own", "jaeger", "jaegerHealth", "page", "pageGrpc"] as const
    ).entries())
      at[name] = `127.0.0.1:${ports[index]}`;
    world = await openWorld(1, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://${at.http}/v1/traces` });
    prometheus = await startPrometheus(
      JSON.stringify({
        global: { scrape_interval: "500ms" },
        scrape_configs: [
          { job_name: "spans", honor_labels: true, static_configs: [{ targets: [at.metrics] }] },
          { job_name: "collector", static_configs: [{ targets: [at.own] }] },
        ],
      }),
    );
    parts.push(
      await startProgram(
        "jaeger",
        [jaeger, ...JAEGER_COMMAND.split(" ")],
        scratch.path,
        {
          JAEGER_DIR: join(scratch.path, "jaeger"),
          JAEGER_HEALTH: at.jaegerHealth,
          JAEGER_HTTP: at.page,
          JAEGER_GRPC: at.pageGrpc,
          JAEGER_OTLP: at.jaeger,
          JAEGER_UI_CONFIG: join(OTEL, "jaeger-ui.json"),
          PROMETHEUS_URL: prometheus.url,
        },
        `http://${at.jaegerHealth}/status`,
      ),
      await startProgram(
        "otelcol",
        [collector, ...COLLECTOR_COMMAND.split(" ")],
        scratch.path,
        {
          COLLECTOR_TOKEN_FILE: world.fleet.layout.telemetryTokenFile,
          CONSOLE_TOKEN_FILE: world.fleet.layout.telemetryTokenFile,
          CONSOLE_ENDPOINT: world.fleet.traces,
          COLLECTOR_GRPC: at.grpc,
          COLLECTOR_HTTP: at.http,
          COLLECTOR_HEALTH: at.health,
          COLLECTOR_METRICS: at.metrics,
          COLLECTOR_OWN_METRICS_PORT: at.own.replace(/.*:/, ""),
          COLLECTOR_DECISION_WAIT: "3s",
          JAEGER_ENDPOINT: at.jaeger,
          TRACE_EXPORTERS: "[otlp_grpc/jaeger]",
        },
        `http://${at.health}/`,
      ),
    );
    await live();
  });
  afterAll(async () => {
    for (const part of parts.reverse()) await part.stop();
    await prometheus?.close();
    await world?.close();
    scratch.remove();
  });

  it("takes the collector's configuration", async () => {
    const files = { COLLECTOR_TOKEN_FILE: "/dev/null", CONSOLE_TOKEN_FILE: "/dev/null" };
    const exporters = "[otlp_grpc/tempo, otlp_grpc/jaeger, otlp_http/other]";
    const env = { ...process.env, ...files, TRACE_EXPORTERS: exporters };

    const args = ["validate", ...COLLECTOR_COMMAND.split(" ")];
    expect(await run(await buildCollector(), args, { cwd: ROOT, env })).toBe("");
  });

  it("takes no spans without the services' token", async () => {
    for (const headers of [{}, { authorization: "Bearer guessed" }]) {
      const answer = await fetch(`http://${at.http}/v1/traces`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: '{"resourceSpans":[]}',
      });

      expect(answer.status).toBe(401);
    }
  });

  it("passes whole traces on to the receiver", async () => {
    for (const [id, services] of [
      [quick.at(-1) ?? "", ["api", "hostd"]],
      // That of its create.
      [failed, ["api", "hostd", "imagecache", "scheduler"]],
    ] as const) {
      const spans = await traceOf(world.fleet, id);

      expect(spans.map(({ name }) => name)).toContain("hostd.start");
      expect([...new Set(spans.map(({ service }) => service))].sort()).toEqual(services);
    }
  });

  it("keeps every failed start for Jaeger, and of quick ones a sample", async () => {
    await expect.poll(() => inJaeger(failed), SCRAPED).toBe(true);
    const kept = await Promise.all(quick.map(inJaeger));

    expect(kept.filter(Boolean).length).toBeLessThan(STARTS / 2);
  });

  it("has data for every metric of it that a dashboard or a rule names", async () => {
    const names = namedMetrics().filter(
      (name) => OF_THE_COLLECTOR.test(name) && !AFTER_FAULTS.includes(name),
    );
    const missing = async () => {
      const counts = await Promise.all(names.map((name) => prometheus.query(`count({__name__="${name}"})`)));
      return names.filter((_, index) => counts[index]?.length === 0);
    };

    expect(names.length).toBeGreaterThan(5);
    await expect.poll(missing, SCRAPED).toEqual([]);
  });

  it("counts all spans before it samples, and leads from a bucket to a trace", async () => {
    const starts = 'sum(traces_span_metrics_calls_total{span_name="hostd.start"})';
    await expect
      .poll(async () => Number((await prometheus.query(starts))[0]?.value[1]), SCRAPED)
      .toBeGreaterThanOrEqual(STARTS);

    const selector = 'traces_span_metrics_duration_seconds_bucket{span_name="hostd.start"}';
    const known = async () =>
      (await prometheus.exemplars(selector)).some(({ labels }) => quick.includes(labels["trace_id"] ?? ""));
    await expect.poll(known, SCRAPED).toBe(true);
  });

  it("feeds the Monitor page of Jaeger", async () => {
    const parameters = new URLSearchParams({
      service: "hostd",
      endTs: String(Date.now()),
      lookback: "600000",
      step: "5000",
      ratePer: "60000",
      groupByOperation: "true",
      quantile: "0.95",
    });
    const operations = async (metric: string) => {
      const answer = await fetch(`http://${at.page}/api/metrics/${metric}?${parameters}&spanKind=internal`);
      const { metrics = [] } = (await answer.json()) as {
        metrics?: { labels: { name: string; value: string }[] }[];
      };
      return metrics.flatMap(({ labels }) => labels.map(({ value }) => value));
    };

    await expect.poll(() => operations("calls"), SCRAPED).toContain("hostd.start");
    await expect.poll(() => operations("latencies"), SCRAPED).toContain("hostd.start");
  });

  /** Starts a machine again and again, and one whose VM fails. */
  async function live(): Promise<void> {
    const { clients, app, image } = world;
    const { id } = await clients.create({ app, config: configOf(image) });
    for (let n = 0; n < STARTS; n++) {
      await clients.stop(id);
      const { machine } = await clients.start(id);
      quick.push(machine?.lastStartTraceId ?? "");
    }
    const broken = { app, config: configOf(image, { init: { exec: ["sim-vmm-fail"] } }) };
    const machine = await clients.create(broken);
    expect(machine.state).toBe(MachineState.FAILED);
    failed = machine.lastStartTraceId;
  }

  async function inJaeger(traceId: string): Promise<boolean> {
    const answer = await fetch(`http://${at.page}/api/traces/${traceId}`);
    await answer.body?.cancel();
    return answer.ok;
  }
});
