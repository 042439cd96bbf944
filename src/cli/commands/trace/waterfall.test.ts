import { describe, expect, test } from "vitest";
import type { Span } from "../../../lib/latency/span.ts";
import { paint } from "../../session/terminal.ts";
import { analyze } from "./analyze.ts";
import { nameOf, percent, summaryLines, waterfall } from "./waterfall.ts";

const plain = paint(false);

/** A start as the system makes it: times in milliseconds. */
const START = [
  span("hover", "", "hover machine start", 0, 100, { service: "hover", kind: "client" }),
  span("api", "hover", "windhover.machines.v1.MachinesService/StartMachine", 5, 90, {
    service: "api",
    kind: "server",
  }),
  span("call", "api", "windhover.hostd.v1.HostService/StartMachine", 10, 80, {
    service: "api",
    kind: "client",
  }),
  span("hostd", "call", "windhover.hostd.v1.HostService/StartMachine", 12, 76, {
    service: "hostd",
    kind: "server",
  }),
  span("vm", "hostd", "vm.acquire", 14, 10, {
    service: "hostd",
    attributes: { "windhover.start.path": "warm", "windhover.host.name": "h" },
  }),
  span("mount", "hostd", "guest.mount", 24, 30, { service: "hostd" }),
  span("exec", "hostd", "guest.exec", 54, 32, { service: "hostd" }),
];

describe("a waterfall", () => {
  test("of a whole start, at 100 columns", () => {
    expect(draw(START, 100)).toEqual([
      "SPAN                                SERVICE       AT     TIME  SELF",
      "hover machine start                 hover       0 ms   100 ms  10 %  ███████████████████████████████",
      "  MachinesService/StartMachine      api       5.0 ms    90 ms  10 %   ████████████████████████████",
      "    → HostService/StartMachine      api        10 ms    80 ms   4 %     █████████████████████████",
      "      HostService/StartMachine      hostd      12 ms    76 ms   4 %     ████████████████████████",
      "        vm.acquire via=warm host=h  hostd      14 ms    10 ms  10 %      ███",
      "        guest.mount                 guest      24 ms    30 ms  30 %         ██████████",
      "        guest.exec                  guest      54 ms    32 ms  32 %                  ███████████",
    ]);
  });

  test("folds short spans that stand together, but none that failed, is labelled, or stands alone", () => {
    const spans = [
      span("root", "", "root", 0, 1_000),
      span("s1", "root", "BEGIN", 10, 1),
      span("s2", "root", "UPDATE sagas", 12, 2),
      span("s3", "root", "BEGIN", 15, 1),
      span("bid", "root", "hostd.bid", 20, 1, { attributes: { "windhover.image.cached": true } }),
      span("s4", "root", "COMMIT", 25, 1),
      span("bad", "root", "INSERT", 30, 1, { status: "error" }),
      span("long", "root", "long", 40, 500),
    ];

    expect(draw(spans, 90).map((line) => line.slice(0, 48).trimEnd())).toEqual([
      "SPAN                              SERVICE",
      "root                              api         0",
      "  + 3 short: BEGIN, UPDATE sagas  api        10",
      "  hostd.bid image_cached=true     api        20",
      "  COMMIT                          api        25",
      "  INSERT                          api        30",
      "  long                            api        40",
    ]);
    expect(draw(spans, 90, true)).toHaveLength(spans.length + 1);
  });

  test.each([60, 80, 100, 140, 300])("never takes more than %i columns", (width) => {
    const long = span(
      "long",
      "hostd",
      "a.very.long.name.that.goes.on.and.on.and.on.for.ever.and.ever",
      90,
      5,
    );

    for (const line of draw([...START, long], width)) expect(line.length).toBeLessThanOrEqual(width);
  });

  test("shows the smallest span, and those outside the root at its edges", () => {
    const spans = [
      span("root", "", "root", 0, 1_000),
      span("tiny", "root", "tiny", 500, 0),
      span("late", "root", "late", 1_500, 100),
      span("early", "root", "early", -200, 100),
    ];

    const lines = draw(spans, 80);

    expect(lines.find((line) => line.startsWith("  tiny"))).toMatch(/500 ms +0 ms +0 % +▏$/);
    expect(lines.find((line) => line.startsWith("  late"))).toMatch(/1\.50 s +100 ms.*→$/);
    expect(lines.find((line) => line.startsWith("  early"))).toMatch(/-200 ms +100 ms +0 % {2}█$/);
  });

  test("reports missing parents and failures", () => {
    const spans = [
      span("root", "", "root", 0, 100),
      span("orphan", "gone", "orphan", 10, 20),
      span("bad", "root", "bad", 30, 20, { status: "error", status_message: "no luck" }),
    ];
    const analysis = analyze(spans);

    const summary = analysis ? summaryLines(analysis, plain) : [];

    expect(draw(spans, 80).map((line) => line.slice(0, 10).trimEnd())).toEqual([
      "SPAN",
      "root",
      "  bad",
      "? orphan",
    ]);
    expect(summary).toEqual([
      "share of each hop   api 100 %",
      "coverage            40 % of root (100 ms) is within a span below it",
      "incomplete          1 span(s) whose parent has not arrived",
      "failed              bad: no luck",
    ]);
  });

  test("contains no control characters", () => {
    const drawn = draw([span("root", "", "evil\x1b[2J\x07name", 0, 1)], 80).join("");

    expect(drawn).toContain("evil name");
    expect(drawn).not.toContain("\x1b");
  });
});

test("the summary of a start has each hop's share and the coverage", () => {
  const analysis = analyze(START);

  expect(analysis ? summaryLines(analysis, plain) : []).toEqual([
    "share of each hop   guest exec 32 %   guest mount 30 %   hostd 14 %   hover 10 %   api 10 %   network 4 %",
    "coverage            90 % of hover machine start (100 ms) is within a span below it",
  ]);
});

test("the summary says by how much clocks were corrected", () => {
  const call = span("call", "", "x/Start", 0, 100, { kind: "client" });
  const served = span("served", "call", "x/Start", 5_000, 80, { kind: "server", service: "hostd" });
  const analysis = analyze([call, served]);

  expect(analysis ? summaryLines(analysis, plain) : []).toContain(
    "clocks              corrected by up to 4.99 s",
  );
});

test.each([
  ["windhover.machines.v1.MachinesService/StartMachine", "server", "MachinesService/StartMachine"],
  ["windhover.machines.v1.MachinesService/StartMachine", "client", "→ MachinesService/StartMachine"],
  ["hostd.start", "internal", "hostd.start"],
  ["hover machine start", "client", "hover machine start"],
] as const)("the span %s (%s) is called %s", (name, kind, shown) => {
  expect(nameOf(span("s", "", name, 0, 1, { kind }))).toBe(shown);
});

test.each([
  [0, "0 %"],
  [0.001, "<1 %"],
  [0.056, "6 %"],
  [1, "100 %"],
])("a share of %d is %s", (share, text) => {
  expect(percent(share)).toBe(text);
});

function draw(spans: readonly Span[], width: number, all = false): string[] {
  const analysis = analyze(spans);
  return analysis ? waterfall(analysis, { width, paint: plain, all }) : [];
}

function span(
  id: string,
  parent: string,
  name: string,
  atMs: number,
  forMs: number,
  more: Partial<Span> = {},
): Span {
  return {
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span_id: id,
    ...(parent === "" ? {} : { parent_span_id: parent }),
    name,
    service: "api",
    kind: "internal",
    start_us: 1.7e15 + atMs * 1_000,
    duration_us: forMs * 1_000,
    status: "unset",
    attributes: {},
    ...more,
  };
}
