import type { ServerWritableStream } from "@grpc/grpc-js";
import { expect, onTestFinished, test, vi } from "vitest";
import type {
  StreamLogsRequest,
  StreamLogsResponse,
  WatchMachinesRequest,
  WatchMachinesResponse,
} from "../gen/windhover/machines/v1/machines.ts";
import { apiError, clientOf, type Done, ID, machineIn, serveApi } from "./api.fixture.ts";

type Watching = ServerWritableStream<WatchMachinesRequest, Partial<WatchMachinesResponse>>;
type Logging = ServerWritableStream<StreamLogsRequest, Partial<StreamLogsResponse>>;

test.each([
  ["is lost", (call: Watching) => call.emit("error", apiError("UNAVAILABLE", "SERVER_DRAINING"))],
  ["ends", (call: Watching) => call.end()],
])("a watch goes on by position when its stream %s", async (_how, stop) => {
  const asked: string[] = [];
  const api = await serveApi({
    watchMachines: (call: Watching) => {
      asked.push(call.request.afterPosition);
      const at = asked.length;
      const changes = [machineIn("starting"), machineIn("started")].map((machine) => ({
        machine,
        event: undefined,
      }));
      call.write({ changes, position: `p${at}` });
      stop(call);
    },
  });
  const positions: string[] = [];

  for await (const { position } of clientOf(api).machines.watch({ app: "web", after: "p0" })) {
    if (positions.push(position) === 5) break;
  }

  // Within a batch, the position before it: no change is left out.
  expect(positions).toEqual(["p0", "p1", "p1", "p2", "p2"]);
  expect(asked).toEqual(["p0", "p1", "p2"]);
});

test("a watch whose position is too old fails, and is not begun anew", async () => {
  const api = await serveApi({
    watchMachines: (call: Watching) =>
      call.emit("error", apiError("FAILED_PRECONDITION", "POSITION_TOO_OLD")),
  });

  const first = clientOf(api).machines.watch({ after: "old" }).next();

  await expect(first).rejects.toMatchObject({ reason: "POSITION_TOO_OLD" });
});

test("leaving the loop ends the watch at the api", async () => {
  const ended = Promise.withResolvers<void>();
  const api = await serveApi({
    watchMachines: (call: Watching) => {
      call.on("cancelled", () => ended.resolve());
      call.write({ changes: [{ machine: machineIn("started"), event: undefined }], position: "p" });
    },
  });

  for await (const { machine } of clientOf(api).machines.watch()) {
    expect(machine.state).toBe("started");
    break;
  }

  await ended.promise;
});

test("logs go on after the last line, and the tail counts once", async () => {
  const asked: (readonly [bigint, number | undefined])[] = [];
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      const { afterSequence, tail } = call.request;
      asked.push([afterSequence, tail]);
      const sequence = afterSequence + 1n;
      const entries = [{ sequence, text: `line ${sequence}`, stream: "stdout", time: undefined }];
      call.write({ entries, position: sequence });
      if (asked.length < 3) call.emit("error", apiError("UNAVAILABLE", "HOST_UNREACHABLE"));
      else call.end();
    },
  });
  const lines: string[] = [];

  for await (const { text } of clientOf(api).machines.logs(ID, { follow: true, tail: 5 })) lines.push(text);

  expect(lines).toEqual(["line 1", "line 2", "line 3"]);
  expect(asked).toEqual([
    [0n, 5],
    [1n, undefined],
    [2n, undefined],
  ]);
});

test("a stream by which nothing has come for long goes on when it is lost", async () => {
  let laterMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
  onTestFinished(() => clock.mockRestore());
  let asked = 0;
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      const { afterSequence } = call.request;
      asked += 1;
      laterMs += 600_000;
      if (asked < 4) return void call.emit("error", apiError("UNAVAILABLE", "SERVER_DRAINING"));
      const sequence = afterSequence + 1n;
      call.write({
        entries: [{ sequence, text: "a line", stream: "stdout", time: undefined }],
        position: sequence,
      });
      call.end();
    },
  });
  const lines: string[] = [];

  for await (const { text } of clientOf(api).machines.logs(ID, { follow: true })) lines.push(text);

  expect(lines).toEqual(["a line"]);
});

test("a stream is given up when it cannot be opened for long", async () => {
  let laterMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + laterMs);
  onTestFinished(() => clock.mockRestore());
  let asked = 0;
  const api = await serveApi({
    streamLogs: (call: Logging) => {
      asked += 1;
      laterMs += 35_000;
      call.emit("error", apiError("UNAVAILABLE", "HOST_UNREACHABLE"));
    },
  });

  const first = clientOf(api).machines.logs(ID, { follow: true }).next();

  await expect(first).rejects.toMatchObject({ reason: "HOST_UNREACHABLE" });
  expect(asked).toBe(3);
});

test("a wait that is longer than the api waits at once is asked again", async () => {
  const asked: number[] = [];
  const api = await serveApi({
    waitMachine: ({ request: { timeout } }: { request: { timeout: { seconds: bigint } } }, done: Done) => {
      asked.push(Number(timeout.seconds));
      if (asked.length === 1) done(apiError("DEADLINE_EXCEEDED", "WAIT_TIMEOUT"));
      else done(null, { machine: machineIn("stopped") });
    },
  });

  const machine = await clientOf(api).machines.wait(ID, { states: ["stopped"], timeoutMs: 600_000 });

  expect([machine.state, ...asked]).toEqual(["stopped", 300, 300]);
});

test("a stop has time for the grace of the machine, whatever that is", async () => {
  const leftMs: number[] = [];
  const api = await serveApi({
    stopMachine: (call: { getDeadline(): Date | number }, done: Done) => {
      leftMs.push(Number(call.getDeadline()) - Date.now());
      done(null, { machine: machineIn("stopped") });
    },
  });
  const { machines } = clientOf(api);

  await machines.stop(ID);
  await machines.stop(ID, { graceMs: 30_000 });
  await machines.stop(ID, { timeoutMs: 30_000 });

  expect(leftMs.map((ms) => Math.ceil(ms / 60_000))).toEqual([6, 2, 1]);
});

test("lists and events are read page by page", async () => {
  const page = ({ request: { pageToken } }: { request: { pageToken: string } }, done: Done) => {
    const [at, next] = pageToken === "" ? ["a", "2"] : ["b", ""];
    done(null, {
      machines: [machineIn("stopped", at)],
      events: [{ id: at }],
      versions: [],
      nextPageToken: next,
    });
  };
  const { machines } = clientOf(await serveApi({ listMachines: page, listMachineEvents: page }));
  const ids: string[] = [];

  for await (const { id } of machines.list({ app: "web", states: ["stopped"] })) ids.push(id);
  for await (const { id } of machines.events(ID)) ids.push(id);

  expect(ids).toEqual(["a", "b", "a", "b"]);
});
