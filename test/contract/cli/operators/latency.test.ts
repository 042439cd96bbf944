import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recent, startTestConsole, type TestConsole } from "../../console/support.ts";
import { type Home, makeHome } from "../support.ts";

const QUICK = Array.from({ length: 20 }, (_, i) =>
  recent({ durationUs: 30_000 + i, hops: { claim: 30_000 } }),
);
const SLOW = Array.from({ length: 20 }, (_, i) =>
  recent({ durationUs: 50_000 + i, host: "h2", hops: { claim: 30_000, "disk swap": 20_000 } }),
);

/** Names come from images and services, which may be anybody's. */
const ODD = recent({ kind: "stop", image: "evil\x1b[31m red\x07beep\x1b[0m", hops: { "x\x1b]0;y\x07": 9 } });

let console: TestConsole;
let home: Home;

beforeAll(async () => {
  console = await startTestConsole([...QUICK, ...SLOW, recent({ reason: "HOST_FULL" }), ODD]);
  home = await makeHome({ api: "127.0.0.1:1", console: `127.0.0.1:${console.port}` });
});
afterAll(async () => {
  home?.remove();
  await console?.close();
});

describe("hover latency", () => {
  test("prints percentiles by an attribute, and the page with the same query", async () => {
    const { code, out } = await home.within("latency", "--since", "1h", "--path", "warm", "--by", "host");

    expect(code).toBe(0);
    expect(out.split("\n")).toEqual([
      "HOST  COUNT    P50    P90    P99    MAX  FAILED  LONGEST HOP",
      "h1       20  30 ms  30 ms  30 ms  30 ms       1  claim",
      "h2       20  50 ms  50 ms  50 ms  50 ms       0  claim",
      "all      40  30 ms  50 ms  50 ms  50 ms       1",
      "",
      `Page: ${console.url}/?since=1h&path=warm`,
      "",
    ]);
  });

  test("without an attribute prints one line, and with --json all of the answer", async () => {
    const text = await home.within("latency", "--host", "!h1", "--min", "1ms");
    const { out } = await home.within("latency", "--host", "h2", "--json");

    expect(text.out).toMatch(/^COUNT +P50 .*\n +20 +50 ms/);
    expect(JSON.parse(out)).toMatchObject({
      all: { count: 20, p50: 50_009 },
      url: `${console.url}/?host=h2`,
    });
  });

  test("writes values without what a terminal would obey", async () => {
    const { out } = await home.within("latency", "--kind", "stop", "--by", "image");

    expect(out).toContain("evil red beep");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  test("says of each wrong flag what would be right", async () => {
    const { code, err } = await home.within("latency", "--since", "x", "--kind", "y", "--by", "z");

    expect(code).toBe(1);
    expect(err).toContain("- kind: must be one of start, create, wake, stop, suspend, all");
    expect(err).toContain("- since: must be a duration such as 15m, 1h or 7d");
  });

  test("compares two sets, with what both have", async () => {
    const { code, out } = await home.within("latency", "compare", "host=h1", "host=h2", "--path", "warm");

    expect(code).toBe(0);
    expect(out).toMatch(/^a +20 /m);
    expect(out).toMatch(
      /^b is slower by 20 ms \(95 %: \+20 ms to \+20 ms; p < 0\.001\); one of b is slower than one of a in 100 % of pairs\.$/m,
    );
    expect(out).toMatch(/^disk swap +0 µs +20 ms +\+20 ms +< 0\.001$/m);
  });

  test("refuses a set that says nothing", async () => {
    const { code, err } = await home.within("latency", "compare", "h1", "host=h2");

    expect([code, err]).toEqual([2, expect.stringContaining('e.g. host=dev-1 or since=2h, not "h1"')]);
  });

  test("says when there is no console", async () => {
    const away = await makeHome({ api: "127.0.0.1:1" });

    const { code, err } = await away.within("latency");
    away.remove();

    expect(code).toBe(1);
    expect(err).toContain("the console at http://127.0.0.1:1 (from");
    expect(err).toContain("Next: hover doctor");
  });
});

test("hover doctor finds the console", async () => {
  const { out } = await home.within("doctor", "--json");

  expect(JSON.parse(out).checks).toContainEqual({
    ...{ name: "console", status: "ok", detail: `answers at ${console.url}`, fix: null },
  });
});

describe("hover console without a machine", () => {
  test("prints a link that opens a session once", async () => {
    const { code, out, err } = await home.within("console");

    const url = out.trim();
    const statuses = [await fetch(url, { redirect: "manual" }), await fetch(url, { redirect: "manual" })];
    expect([code, err]).toEqual([0, "It works once, within a minute.\n"]);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/login\?code=[\w-]{43}$/);
    expect(statuses.map(({ status }) => status)).toEqual([303, 401]);
  });

  test("with --open says what to do where there is no browser", async () => {
    const { code, out, err } = await home.hoverWith({ PATH: "/nowhere" }, "console", "--open");

    expect([code, out]).toEqual([0, expect.stringContaining("/login?code=")]);
    expect(err).toContain("open the link in a browser, within a minute");
  });
});
