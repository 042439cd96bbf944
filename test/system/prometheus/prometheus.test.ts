import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  MachineState,
  Placement,
  PortConfig,
  ServiceConfig,
} from "../../../src/gen/windhover/machines/v1/machine.ts";
import { makeCertificate } from "../../contract/proxy/certificate.ts";
import { configOf } from "../../support/clients.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { Programs } from "../world/programs.ts";
import { openWorld, type World } from "../world/world.ts";
import { codeBlocks, type Documented, documentedFor, documentedMetrics, seriesName } from "./metrics-page.ts";
import {
  AFTER_FAULTS,
  dashboardExpressions,
  namedMetrics,
  OF_REAL_VMS,
  OF_THE_COLLECTOR,
  PROMETHEUS,
  RECORDED_OF_REAL_VMS,
  rules,
} from "./named-metrics.ts";
import { type Prometheus, type Sample, startPrometheus } from "./prometheus-server.ts";
import { promtool } from "./promtool.ts";

const SERVICES = ["api", "scheduler", "hostd", "imagecache", "proxy"] as const;
type Service = (typeof SERVICES)[number];

const HOST_MEMORY_MB = 1_024;
const WEB = PortConfig.fromPartial({ port: 80, handlers: ["http"] });

/** Prometheus knows of them and has no value yet. */
const WITHOUT_VALUES = [...OF_REAL_VMS, ...AFTER_FAULTS];
/** Labels that Prometheus puts on everything, and those of histograms. */
const NOT_OURS = new Set(["__name__", "job", "instance", "le"]);
const UP = ["api", "hostd", "hostd", "imagecache", "imagecache", "proxy", "scheduler"].map((job) => [
  job,
  "up",
]);
const SCRAPED = { timeout: 60_000, interval: 200 };

describe("Debian's Prometheus, with the configuration of otel/prometheus", () => {
  const certificates = temporaryFolder("certificates");
  let world: World;
  let prometheus: Prometheus;
  let programs: Programs;

  beforeAll(async () => {
    await makeCertificate(certificates.path, "apps", ["all.localhost"]);
    world = await openWorld(2, {
      HOSTD_MEMORY_MB: String(HOST_MEMORY_MB),
      PROXY_CERTIFICATES: certificates.path,
    });
    programs = await Programs.run(world.fleet);
    prometheus = await startPrometheus(configuration());
    await live();
    // All of it has been read when the last of it has.
    await vi.waitFor(async () => {
      expect(await values('sum(windhover_stop_duration_seconds_count{outcome="ok"})')).toEqual([3]);
      expect(await values('windhover_create_duration_seconds_count{outcome="refused"}')).toEqual([1]);
      expect(await targets()).toEqual(UP);
    }, SCRAPED);
  });
  afterAll(async () => {
    await prometheus?.close();
    await programs?.close();
    await world?.close();
    certificates.remove();
  });

  const values = async (expression: string) =>
    (await prometheus.query(expression)).map((each) => Number(each.value[1]));

  const targets = async () =>
    (await prometheus.targets()).map(({ labels, health }) => [labels["job"], health]);

  it("finds every service up", () => expect.poll(targets, SCRAPED).toEqual(UP));

  it("reads what has happened", async () => {
    const value = (expression: string) => expect.poll(() => values(expression), SCRAPED);

    await value('sum(windhover_start_duration_seconds_count{start_path="cold", outcome="ok"})').toEqual([3]);
    await value('sum(windhover_start_duration_seconds_count{start_path="none", outcome="failed"})').toEqual([
      1,
    ]);
    await value('windhover_proxy_wakes_total{path="cold", outcome="ok"}').toEqual([1]);
    await value('sum(windhover_api_start_duration_seconds_count{outcome="ok"})').toEqual([1]);
    await value('sum(windhover_create_duration_seconds_count{outcome="ok"})').toEqual([2]);
    await value('windhover_create_duration_seconds_count{outcome="refused"}').toEqual([1]);
    await value('sum(windhover_stop_duration_seconds_count{outcome="ok"})').toEqual([3]);
    await value('sum(windhover_refusals_total{operation="bid", reason="no_memory"})').toEqual([2]);
    await value('windhover_auction_declines_total{reason="no_memory"}').toEqual([2]);
    await value('sum(windhover_image_requests_total{result="miss"})').toEqual([1]);
    await value("sum(windhover_images)").toEqual([1]);
    await value("count(windhover_image_cache_bytes > 0 < windhover_image_cache_budget_bytes)").toEqual([1]);
    await value("sum(windhover_outbox_lag_events)").toEqual([0]);
    await value("windhover_hosts_attached").toEqual([2]);
    await value('sum(windhover_machines{state="stopped"})').toEqual([1]);
    await value('windhover_ledger_capacity{resource="memory_bytes"} / 2^20').toEqual([
      HOST_MEMORY_MB,
      HOST_MEMORY_MB,
    ]);
  });

  it.each(SERVICES)(
    "knows the metrics of %s by name, type and meaning as they are documented",
    async (service) => {
      const exposed = await exposedBy(service);
      const documented = documentedFor(service).map(({ name, type, meaning }) => ({ name, type, meaning }));

      expect(exposed).toEqual(documented.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    },
  );

  it("has values for all of them, with the documented labels", async () => {
    const labelsOf = (samples: readonly Sample[], { name, type }: Documented): string[] | undefined => {
      const series = samples.filter(({ metric }) => metric["__name__"] === seriesName(name, type));
      const labels = series
        .flatMap(({ metric }) => Object.keys(metric))
        .filter((label) => !NOT_OURS.has(label));
      return series.length === 0 ? undefined : [...new Set(labels)].sort();
    };
    const ours = documentedMetrics().filter(({ name }) => name.startsWith("windhover_"));
    const found = async () => {
      const samples = await prometheus.query('{__name__=~"windhover_.+"}');
      return ours.map((each) => [each.name, labelsOf(samples, each)]);
    };

    // A target that has once been too slow to answer has no values until it is asked again.
    await expect
      .poll(found, SCRAPED)
      .toEqual(
        ours.map(({ name, labels }) => [name, WITHOUT_VALUES.includes(name) ? undefined : labels.toSorted()]),
      );
  });

  it("has data for every metric that a dashboard or a rule names", async () => {
    const none = [...WITHOUT_VALUES, ...RECORDED_OF_REAL_VMS];
    const names = namedMetrics().filter((name) => !OF_THE_COLLECTOR.test(name) && !none.includes(name));
    const missing = async () => {
      const counts = await Promise.all(names.map((name) => prometheus.query(`count({__name__="${name}"})`)));
      return names.filter((_, index) => counts[index]?.length === 0);
    };

    expect(names.length).toBeGreaterThan(60);
    await expect.poll(missing, SCRAPED).toEqual([]);
  });

  it("understands every query of the dashboards", async () => {
    const filled = dashboardExpressions()
      .filter((each) => !each.startsWith("label_values"))
      .map((each) => each.replaceAll("$__rate_interval", "1m").replaceAll(/\$\w+/g, ".*"));

    expect(filled.length).toBeGreaterThan(60);
    for (const each of filled) expect(await prometheus.query(each)).toBeInstanceOf(Array);
  });

  it("knows what is named and has no data without faults or real VMs", () => {
    const documented = documentedMetrics().map(({ name }) => name);
    const recorded = rules().flatMap(({ record }) => record ?? []);

    expect(WITHOUT_VALUES.filter((name) => !documented.includes(name))).toEqual([]);
    expect(RECORDED_OF_REAL_VMS.filter((name) => !recorded.includes(name))).toEqual([]);
  });

  it("loads the rules and evaluates all of them without an error", async () => {
    const wanted = rules().map(({ record, alert }) => [record ?? alert, "ok", undefined]);
    const loaded = async () =>
      (await prometheus.rules()).map(({ name, health, lastError }) => [name, health, lastError]).sort();

    await expect.poll(loaded, SCRAPED).toEqual(wanted.sort());
  });

  it.each([
    "windhover_start_duration_seconds_bucket",
    "windhover_api_start_duration_seconds_bucket",
    "windhover_create_duration_seconds_bucket",
    "windhover_stop_duration_seconds_bucket",
    "windhover_auction_duration_seconds_bucket",
    "windhover_image_pull_duration_seconds_bucket",
    "windhover_proxy_request_duration_seconds_bucket",
    "windhover_proxy_wake_seconds_bucket",
    "rpc_server_call_duration_seconds_bucket",
    "rpc_client_call_duration_seconds_bucket",
  ])("leads from %s to a trace that the receiver has", async (name) => {
    const found = async () => {
      // The receiver evicts what is about no machine before long.
      const exemplars = (await prometheus.exemplars(name)).toSorted((a, b) => b.timestamp - a.timestamp);
      const ids = exemplars.slice(0, 10).map(({ labels }) => labels["trace_id"] ?? "none");
      return await Promise.all(ids.map(statusOfTrace));
    };

    await expect.poll(found, SCRAPED).toContain(200);
  });

  it("finds base units in the names, as documented", () => {
    for (const { name, unit } of documentedMetrics()) {
      expect([name, /_(seconds|bytes)(?:_total)?$/.exec(name)?.[1] ?? ""]).toEqual([name, unit]);
    }
  });

  it.each(SERVICES)("has nothing to say against the metrics of %s", async (service) => {
    for (const address of addressesOf(service)) {
      const answer = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(20_000) });

      expect(await promtool(["check", "metrics"], PROMETHEUS, await answer.text())).toEqual({
        code: 0,
        output: "",
      });
    }
  });

  it.each(codeBlocks("promql"))("understands question %# of the documentation", async (expression) => {
    await expect(prometheus.query(expression)).resolves.toBeInstanceOf(Array);
  });

  async function statusOfTrace(id: string): Promise<number> {
    const answer = await fetch(`${world.fleet.traces}/api/traces/${id}`, {
      headers: { authorization: `Bearer ${world.fleet.token}` },
      signal: AbortSignal.timeout(20_000),
    });
    await answer.body?.cancel();
    return answer.status;
  }

  /** A create with its start, a stop, a start, a request that starts it, stops; a create that no host has room for, and one whose start fails. */
  async function live(): Promise<void> {
    const { clients, app, image } = world;
    const services = [{ ...ServiceConfig.create(), internalPort: 8080, ports: [WEB], autostart: true }];
    const { id } = await clients.create({ app, config: configOf(image, { services }) });
    await clients.stop(id);
    await clients.start(id);
    // The proxy learns of it a moment later.
    await vi.waitFor(async () => expect(await askProxy(`${app}.localhost`)).toBe(200), SCRAPED);
    await clients.stop(id);
    expect(await askProxy(`${app}.localhost`)).toBe(200);
    await clients.stop(id);
    const guest = { cpuKind: "shared", cpus: 1, memoryMb: 2 * HOST_MEMORY_MB };
    const refused = clients.create({ app, config: configOf(image, { guest }) });
    await expect(refused).rejects.toMatchObject({ reason: "NO_CAPACITY" });
    const broken = configOf(image, { init: { exec: ["sim-vmm-fail"] } });
    const placement = Placement.fromPartial({ hostNumber: Number.parseInt(id.slice(0, 5), 16) });
    expect((await clients.create({ app, config: broken, placement })).state).toBe(MachineState.FAILED);
    expect(await askProxy("nobody.localhost")).toBe(404);
  }

  async function askProxy(host: string): Promise<number | undefined> {
    const { PROXY_LISTEN = "" } = world.fleet.part("proxy").spec.environment;
    const [answer] = await once(
      get(`http://${PROXY_LISTEN}/`, { headers: { host }, agent: false }),
      "response",
    );
    answer.resume();
    return answer.statusCode;
  }

  /** The configuration of `otel/prometheus` with this fleet's addresses, and in a hurry. */
  function configuration(): string {
    const local: Record<string, string> = {
      "127.0.0.1:9100": addressesOf("api")[0] ?? "",
      "127.0.0.1:9101": addressesOf("scheduler")[0] ?? "",
      "127.0.0.1:9110": addressesOf("hostd")[0] ?? "",
      "127.0.0.1:9111": addressesOf("imagecache")[0] ?? "",
      "127.0.0.1:9112": addressesOf("hostd")[1] ?? "",
      "127.0.0.1:9113": addressesOf("imagecache")[1] ?? "",
      "127.0.0.1:9109": addressesOf("proxy")[0] ?? "",
    };
    return readFileSync(join(PROMETHEUS, "prometheus.yml"), "utf8")
      .replace(/127\.0\.0\.1:\d+/g, (address) => local[address] ?? address)
      .replaceAll("_interval: 15s", "_interval: 500ms")
      .replace("rules/*.yml", join(PROMETHEUS, "rules/*.yml"));
  }

  function addressesOf(service: Service): string[] {
    const variable = `${service.toUpperCase()}_METRICS_LISTEN`;
    const parts = ["api", "scheduler", "proxy"].includes(service)
      ? [service]
      : [1, 2].map((n) => `${service}-${n}`);
    return parts.map((part) => world.fleet.part(part).spec.environment[variable] ?? "");
  }

  /** What Prometheus has read from a service's targets, leaving out what every Node process tells. */
  async function exposedBy(service: Service) {
    const metadata = await prometheus.metadata(service);
    const ours = metadata.filter(({ metric }) => /^(windhover|rpc|http_server)_/.test(metric));
    const byName = new Map(
      ours.map(({ metric, type, help }) => {
        // OpenMetrics names a counter without its suffix.
        const name = type === "counter" ? `${metric}_total` : metric;
        return [name, { name, type, meaning: help }];
      }),
    );
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
});
