import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { HOP_NAMES } from "../../../src/lib/latency/analysis/hops.ts";
import { ROOT } from "../../../tools/lib/paths.ts";
import { COLLECTOR_COMMAND, JAEGER_COMMAND } from "../../otel/commands.ts";
import { PROMETHEUS_FLAGS } from "./prometheus-server.ts";
import { promtool } from "./promtool.ts";

const page = readFileSync(join(ROOT, "docs/observability.md"), "utf8");
const commands = [...page.matchAll(/^```bash\n(.*?)^```$/gms)].flatMap(([, code = ""]) =>
  code.trim().split("\n"),
);

/** What other tests run, with values of their own for paths and addresses. */
const RUN_ELSEWHERE: readonly (readonly [command: string, test: string])[] = [
  [`otelcol-contrib validate ${COLLECTOR_COMMAND}`, "test/otel/collector.test.ts"],
  [`otelcol-contrib ${COLLECTOR_COMMAND}`, "test/otel/collector.test.ts"],
  [`jaeger ${JAEGER_COMMAND}`, "test/otel/collector.test.ts"],
  [
    "export COLLECTOR_TOKEN_FILE=.windhover/keys/telemetry-token CONSOLE_TOKEN_FILE=.windhover/keys/telemetry-token",
    "test/otel/collector.test.ts",
  ],
  [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:14318/v1/traces npm run up",
    "test/otel/collector.test.ts",
  ],
];

it("documents no command of tracing tools that no test runs", () => {
  const known = RUN_ELSEWHERE.map(([command]) => command);
  const unknown = commands.filter((each) => !known.includes(each) && !/^(promtool|prometheus) /.test(each));

  expect(unknown).toEqual([]);
  expect(known.filter((each) => !commands.includes(each))).toEqual([]);
});

it.each(commands.filter((each) => each.startsWith("promtool ")))(
  "runs %s",
  async (command) => {
    const { code, output } = await promtool(command.split(" ").slice(1), ROOT);

    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
    // It takes ten seconds of a processor.
  },
  600_000,
);

it("names hops as the console and hover do", () => {
  const [, section = ""] = page.split("### 3. What a hop waits for");
  const cells = [...section.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = ""]) => cell);
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));

  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => !HOP_NAMES.includes(name))).toEqual([]);
});

it("starts Prometheus with the flags that the tests give it", () => {
  const [command = ""] = commands.filter((each) => each.startsWith("prometheus "));
  const flags = command.split(" ").slice(1);

  expect(flags.filter((flag) => PROMETHEUS_FLAGS.includes(flag))).toEqual(PROMETHEUS_FLAGS);
  expect(flags.map((flag) => flag.replace(/=.*/, ""))).toEqual([
    "--config.file",
    "--storage.tsdb.path",
    ...PROMETHEUS_FLAGS.map((flag) => flag.replace(/=.*/, "")),
  ]);
});
