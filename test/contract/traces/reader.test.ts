import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TraceReader } from "../../../src/lib/latency/trace-reader.ts";
import { bearer, exportRequest, json, privateDir, type Receiver, rawSpan, startReceiver } from "./support.ts";

const MACHINE = "0000a0000000aa";
const START = { name: "windhover.machines.v1.MachinesService/StartMachine", kind: 2 };

let home: ReturnType<typeof privateDir>;
let reader: TraceReader;
let receiver: Receiver | undefined;

beforeEach(() => {
  home = privateDir();
  reader = new TraceReader(home.dir);
});
afterEach(async () => {
  reader.close();
  await receiver?.close();
  receiver = undefined;
  home.remove();
});

test("a reader waits for the receiver's database, and follows it through a restart", async () => {
  expect(() => reader.state()).toThrow(expect.objectContaining({ reason: "TRACES_UNAVAILABLE" }));

  receiver = await startReceiver(home.dir);
  const first = await sendStart(receiver);
  const before = reader.changes(undefined, 100);
  await receiver.close();
  receiver = await startReceiver(home.dir);
  const second = await sendStart(receiver);
  const after = reader.changes(before.cursor, 100);

  expect(before).toMatchObject({ isReset: true, operations: [{ traceId: first }] });
  expect(after).toMatchObject({ isReset: false, removed: [], operations: [{ traceId: second }] });
});

test("when another database takes the place of a reader's, it begins anew with that one", async () => {
  receiver = await startReceiver(home.dir);
  await sendStart(receiver);
  const { cursor } = reader.changes(undefined, 100);
  await receiver.close();
  // As the receiver does with one that it cannot read.
  for (const suffix of ["-wal", "-shm"]) rmSync(join(home.dir, `traces.db${suffix}`), { force: true });
  renameSync(join(home.dir, "traces.db"), join(home.dir, "traces.db.broken"));
  receiver = await startReceiver(home.dir);
  const traceId = await sendStart(receiver);

  expect(reader.changes(cursor, 100)).toMatchObject({ isReset: true, operations: [{ traceId }] });
});

test("a trace has its spans for a reader before and after it was sealed, and for the query API too", async () => {
  receiver = await startReceiver(home.dir);
  const root = rawSpan(START, { "windhover.machine.id": MACHINE });
  await receiver.post(exportRequest([root]));
  const open = reader.traceOf(root.traceId);
  receiver.pass(5_000);
  await expect.poll(() => reader.traceOf(root.traceId)?.isSealed, { timeout: 30_000 }).toBe(true);
  const sealed = reader.traceOf(root.traceId);
  // Late, as of a service that could not send for a while.
  const late = rawSpan({ traceId: root.traceId, parentSpanId: root.spanId, name: "late" });
  await receiver.post(exportRequest([late, root]));
  const reopened = reader.traceOf(root.traceId);
  receiver.pass(5_000);
  await expect.poll(() => reader.traceOf(root.traceId)?.isSealed, { timeout: 30_000 }).toBe(true);

  expect([open?.isSealed, reopened?.isSealed]).toEqual([false, false]);
  expect(sealed?.spans).toEqual(open?.spans);
  expect(reader.spansOf(root.traceId).map(({ name }) => name)).toEqual([START.name, "late"]);
  const answer = await json(receiver.get(`/api/traces/${root.traceId}`));
  expect(answer.spans).toEqual(reader.spansOf(root.traceId));
  expect(answer.trace).toMatchObject({ spans: 2, dropped_spans: 0 });
  expect(reader.state()).toMatchObject({ traces: 1, operations: 1, unsealed: 0 });
});

test("a reader of an organisation sees its traces, without what clients of others added", async () => {
  receiver = await startReceiver(home.dir);
  const theirs = rawSpan(START, { "windhover.machine.id": MACHINE, "windhover.org": "rival" });
  await receiver.post(exportRequest([theirs]));
  const intruder = rawSpan({ traceId: theirs.traceId, name: "intruder" });
  await receiver.post(exportRequest([intruder]), { token: await bearer("acme", "machines:write") });

  expect(reader.traceOf(theirs.traceId, "acme")).toBeUndefined();
  expect(reader.spansOf(theirs.traceId, "rival").map(({ name }) => name)).toEqual([START.name]);
  expect(reader.spansOf(theirs.traceId)).toHaveLength(2);
});

test("versions are marked once for each process, and lost spans are told", async () => {
  receiver = await startReceiver(home.dir);
  const service = receiver;
  const send = (version: string) => {
    const request = exportRequest([rawSpan({}, { "windhover.host.name": "host-7" })], "hostd");
    const attributes = { "service.version": version, "service.instance.id": "hostd-7" };
    for (const [key, value] of Object.entries(attributes))
      request.resourceSpans[0]?.resource.attributes.push({ key, value: { stringValue: value } });
    return service.post(request);
  };
  for (const version of ["1.0.0", "1.0.0", "1.1.0", "1.1.0"]) await send(version);
  const dropped = {
    ...rawSpan({ name: "telemetry.dropped" }),
    attributes: [{ key: "windhover.spans.dropped", value: { intValue: 7 } }],
  };
  await receiver.post(exportRequest([dropped, { ...rawSpan(), traceId: "nonsense" }], "scheduler"));

  const { marks } = reader.changes(undefined, 100);

  expect(marks.map(({ kind, label, host }) => [kind, label, host])).toEqual([
    ["version", "hostd 1.0.0", "host-7"],
    ["version", "hostd 1.1.0", "host-7"],
  ]);
  const losses = reader.losses(0, Number.MAX_SAFE_INTEGER).map(({ service: of, spans }) => [of, spans]);
  expect(losses.toSorted()).toEqual([
    ["scheduler", 7],
    ["traces", 1],
  ]);
});

/** Sends a start and waits until its operation is known. Returns its trace. */
async function sendStart(to: Receiver): Promise<string> {
  const span = rawSpan(START, { "windhover.machine.id": MACHINE });
  await to.post(exportRequest([span]));
  to.pass(5_000);
  await expect
    .poll(() => reader.changes(undefined, 100).operations.map(({ traceId }) => traceId), { timeout: 30_000 })
    .toContain(span.traceId);
  return span.traceId;
}
