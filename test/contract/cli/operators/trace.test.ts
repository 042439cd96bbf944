import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { exportRequest, privateDir, type Receiver, rawSpan, startReceiver } from "../../traces/support.ts";
import { FakeApi } from "../fakes/fake-api.ts";
import { type Home, makeHome } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const api = new FakeApi();
const store = privateDir();
const registry = createServer((_request, response) => response.end("{}"));
let receiver: Receiver;
let home: Home;

beforeAll(async () => {
  await api.start();
  receiver = await startReceiver(store.dir);
  await once(registry.listen(0, "127.0.0.1"), "listening");
  // A listening TCP server's address is never a string or null.
  const { port } = registry.address() as AddressInfo;
  home = await makeHome({
    api: api.address,
    traces: receiver.url,
    registry: `127.0.0.1:${port}`,
    rest: `127.0.0.1:${port}`,
  });
});
beforeEach(() => api.reset());
afterAll(async () => {
  registry.close();
  home.remove();
  await receiver.close();
  await api.stop();
  store.remove();
});

describe("hover trace", () => {
  test("shows the last start as a waterfall, with the root that hover itself has sent", async () => {
    api.add({ id: ID });
    let traceId = "";
    // It gives its root a moment to arrive, which may be too short on a loaded machine.
    await expect
      .poll(async () => {
        api.requests.length = 0;
        const started = JSON.parse((await home.hover("m", "start", ID, "--json")).out);
        traceId = started[0].trace_id;
        return (await receiver.get(`/api/traces/${traceId}`)).status;
      })
      .toBe(200);
    const parentSpanId = api.requests[0]?.traceparent.split("-")[2];
    const now = String(BigInt(Date.now() - 5) * 1_000_000n);
    const span = { ...serverSpan(traceId, parentSpanId), startTimeUnixNano: now, endTimeUnixNano: now };
    await receiver.post(exportRequest([span]));
    api.add({ id: ID, lastStartTraceId: traceId });

    const { code, out } = await home.hover("trace", ID);

    expect(code).toBe(0);
    expect(out).toMatch(/^hover machine start {2}/);
    expect(out).toContain(`trace ${traceId}, 2 spans of 2 services`);
    expect(out).toMatch(/\n {2}MachinesService\/StartMachine via=warm +api /);
    expect(out).toMatch(/\nshare of each hop {3}hover \d+ %/);
    expect(out).toMatch(/\ncoverage +\d+ % of hover machine start/);
  });

  test("prints JSON with the tree, shares and coverage", async () => {
    const root = rawSpan({ name: "hover machine start" });
    const child = { ...serverSpan(root.traceId, root.spanId), ...times(root, 20, 60) };
    await receiver.post(exportRequest([root], "hover"));
    await receiver.post(exportRequest([child]));

    const { out } = await home.hover("trace", root.traceId, "--json");

    expect(JSON.parse(out)).toMatchObject({
      trace_id: root.traceId,
      root_name: "hover machine start",
      complete: true,
      duration_us: 80_000,
      coverage: 0.75,
      hops: [
        { name: "api", self_us: 60_000, share: 0.75 },
        { name: "hover", self_us: 20_000, share: 0.25 },
      ],
      spans: [
        { depth: 0, offset_us: 0, parent_span_id: null },
        { depth: 1, offset_us: 20_000, self_us: 60_000, attributes: { "windhover.start.path": "warm" } },
      ],
    });
  });

  test("waits for late spans", async () => {
    const root = rawSpan();
    await receiver.post(exportRequest([serverSpan(root.traceId, root.spanId)]));
    const before = receiver.asked();
    const running = home.start({}, "trace", root.traceId, "--json");
    await expect.poll(receiver.asked).toBeGreaterThan(before);
    await receiver.post(exportRequest([root], "hover"));

    const { out } = await running.ended;

    expect(JSON.parse(out)).toMatchObject({ complete: true, root_name: root["name"] });
  });

  test("finds a machine's start at the receiver when the api is down, and the create with --create", async () => {
    const about = { "windhover.machine.id": "0000c000000001" };
    const create = rawSpan({ name: "hover machine create" }, about);
    const start = rawSpan({ name: "hover machine start" }, about);
    const stop = rawSpan({ name: "hover machine stop" }, about);
    await receiver.post(exportRequest([create, start, stop]));
    const down = ["--api", "127.0.0.1:1", "--json"];

    const last = await home.hover("trace", "0000c000000001", ...down);
    const made = await home.hover("trace", "0000c000000001", "--create", ...down);

    expect(JSON.parse(last.out).trace_id).toBe(start.traceId);
    expect(JSON.parse(made.out).trace_id).toBe(create.traceId);
    expect(last.err).toBe("The API does not answer; asking the trace receiver.\n");
  });

  test("reports that there is no trace", async () => {
    api.add({ id: ID });

    const never = await home.hover("trace", ID);
    const unknown = await home.hover("trace", "f".repeat(32));
    const noReceiver = await home.hoverWith({ WINDHOVER_TRACES: "127.0.0.1:1" }, "trace", "f".repeat(32));

    expect(never.err).toContain(`the machine ${ID} has not been started yet (TRACE_NOT_FOUND)`);
    expect(unknown.err).toContain("it keeps only the latest (TRACE_NOT_FOUND)");
    expect(noReceiver.err).toContain(
      "the trace receiver at 127.0.0.1:1 (from WINDHOVER_TRACES) does not answer",
    );
    expect([never.code, unknown.code, noReceiver.code]).toEqual([1, 1, 1]);
  });
});

describe("hover doctor", () => {
  test("reports every check, with a fix for each failure", async () => {
    const { code, out } = await home.hover("doctor", "--json");

    const { ok, checks } = JSON.parse(out);
    const status = Object.fromEntries(
      checks.map((c: { name: string; status: string }) => [c.name, c.status]),
    );
    expect(status).toMatchObject({
      ...{
        node: "ok",
        "npm packages": "ok",
        guest: "fail",
        api: "ok",
        token: "ok",
        postgres: "ok",
        hosts: "fail",
      },
      ...{ "trace receiver": "ok", registry: "ok", rest: "ok" },
      // Nothing else depends on it.
      console: "warn",
    });
    expect([code, ok]).toEqual([1, false]);
    for (const check of checks) if (check.status === "fail") expect(check.fix).toMatch(/npm run|hover|check/);
  });

  test("skips what cannot be asked when the API does not answer, and prints readable lines", async () => {
    const { code, out } = await home.hover("doctor", "--api", "127.0.0.1:1");

    expect(code).toBe(1);
    expect(out).toMatch(/^fail {2}api +127\.0\.0\.1:1 \(from --api\) does not answer\n +Fix: npm run up/m);
    expect(out).toMatch(/^skip {2}postgres +the API does not answer$/m);
    expect(out).toMatch(/^ok {4}trace receiver +answers at/m);
  });
});

/** A span of the api below `parentSpanId`. */
function serverSpan(traceId: string, parentSpanId: string | undefined) {
  const name = "windhover.machines.v1.MachinesService/StartMachine";
  return rawSpan(
    { traceId, parentSpanId, name, kind: 2 },
    { "windhover.start.path": "warm", "windhover.org": "acme" },
  );
}

/** Times within another span: from and for how long, in milliseconds. */
function times(outer: { [field: string]: unknown }, atMs: number, forMs: number) {
  const start = BigInt(String(outer["startTimeUnixNano"])) + BigInt(atMs) * 1_000_000n;
  return { startTimeUnixNano: String(start), endTimeUnixNano: String(start + BigInt(forMs) * 1_000_000n) };
}
