import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hostdClient, hostdConnections } from "../../../../src/api/hosts/hostd-client.ts";
import {
  HostServiceClient,
  HostServiceService,
  ListMachinesRequest,
  type ListMachinesResponse,
  type WatchedMachine,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { mintToken } from "../../../../src/lib/auth/auth.ts";
import { openDuplex } from "../../../../src/lib/grpc/calls/duplex.ts";
import { call, connect, openStream } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { mapToProto } from "../../../../src/lib/grpc/messages/maps.ts";
import { systemClock } from "../../../../src/lib/runtime/clock.ts";
import { expectCleanAfterRemoval } from "../clean.ts";
import { KEYS, startHost, type TestHost, token } from "../fixture.ts";
import { createRequest, newId, present } from "../requests.ts";

const SCOPE = { timeoutMs: 20_000 };
const UNKNOWN = newId();

let host: TestHost;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.close());
afterEach(() => expectCleanAfterRemoval(host));

test("a watch tells the state of each machine that is named, then every change, and what is not there", async () => {
  const { id } = await host.created({ exec: ["sim-run"] });
  const other = (await host.created({ exec: ["sim-run"] })).id;
  const watch = openDuplex(host.client, host.client.watchMachines, { timeoutMs: 20_000 });
  const told: WatchedMachine[] = [];
  const reading = (async () => {
    for await (const { machines } of watch.messages) told.push(...machines);
  })();
  reading.catch(() => {});
  const statesOf = (machineId: string) =>
    told.filter((each) => each.id === machineId).map(({ machine }) => machine?.state);

  await watch.write({ watchIds: [id, other, UNKNOWN], unwatchIds: [] });
  await expect.poll(() => told.length).toBe(3);
  await watch.write({ watchIds: [], unwatchIds: [other] });
  await host.start(id, { watchMs: 0 });
  await host.start(other, { watchMs: 0 });
  await host.stop(id);
  await expect.poll(() => statesOf(id).at(-1)).toBe(MachineState.STOPPED);
  watch.cancel();

  const { CREATED, STARTING, STARTED, STOPPING, STOPPED } = MachineState;
  expect(new Set(statesOf(id))).toEqual(new Set([CREATED, STARTING, STARTED, STOPPING, STOPPED]));
  expect(statesOf(other)).toEqual([CREATED]);
  expect(told.find((each) => each.id === UNKNOWN)).toMatchObject({ missing: true, machine: undefined });
  const started = told.find(({ machine }) => machine?.state === STARTED);
  expect(started?.reachable).toEqual([STOPPED]);
  expect(started?.machine).toMatchObject({ config: undefined, events: [{ type: "start" }] });
  await host.stop(other);
});

describe("wait", () => {
  const wait = (machineId: string, states: MachineState[], timeoutMs?: number, org = "") =>
    call(
      host.client,
      host.client.waitMachine,
      {
        ...{ instanceId: "", afterEventId: "", ready: false, machineId, org, states },
        timeout: durationToProto(timeoutMs),
      },
      SCOPE,
    );

  test("ends with the state", async () => {
    const { id } = await host.created({ exec: ["sim-exit", "0", "sim-run-for", "50"] });
    await host.start(id, { watchMs: 0 });

    const { machine } = await wait(id, [MachineState.STOPPED, MachineState.FAILED]);

    expect(machine?.state).toBe(MachineState.STOPPED);
  });

  test("fails as soon as the state cannot be reached", async () => {
    const { id } = await host.created({ exec: ["sim-hang"] });

    await expect(wait(id, [])).rejects.toMatchObject({
      reason: "STATE_UNREACHABLE",
      facts: { state: "created" },
    });
    host.start(id).catch(() => {});
    await expect.poll(async () => (await host.get(id)).state).toBe(MachineState.STARTING);
    const waiting = wait(id, [MachineState.STARTED]);
    waiting.catch(() => {});
    await host.stop(id);

    await expect(waiting).rejects.toMatchObject({ reason: "STATE_UNREACHABLE", facts: { state: "stopped" } });
  });

  test("times out", async () => {
    const { id } = await host.created();
    await host.start(id);

    await expect(wait(id, [MachineState.STOPPED], 30)).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "WAIT_TIMEOUT",
      facts: { state: "started" },
    });
  });

  test("wrong fields and other organisations", async () => {
    const { id } = await host.created();

    await expect(wait(id, [MachineState.UNSPECIFIED], 300_001)).rejects.toMatchObject({
      facts: { fields: "states[0],timeout" },
    });
    await expect(wait(id, [MachineState.CREATED], 100, "evil")).rejects.toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
  });
});

describe("logs", () => {
  const read = async (
    machineId: string,
    fields: { tail?: number; follow?: boolean; after?: bigint } = {},
    until = 0,
  ) => {
    const lines: string[] = [];
    const request = {
      machineId,
      org: "",
      follow: fields.follow ?? false,
      tail: fields.tail,
      afterSequence: fields.after ?? 0n,
    };
    for await (const { entries } of openStream(host.client, host.client.streamLogs, request, SCOPE)) {
      lines.push(...entries.map(({ sequence, text }) => `${sequence} ${text}`));
      if (until > 0 && lines.length >= until) break;
    }
    return lines;
  };

  test("whose last lines are looked for again and again are waited for", async () => {
    const { id } = await host.created();
    const begunMs = performance.now();

    // As many lines as may be read at once, and half a second's more.
    await Promise.all(Array.from({ length: 90 }, () => read(id, { tail: 10_000, after: 1_000_000n })));

    expect(performance.now() - begunMs).toBeGreaterThan(400);
  });

  test("have what the machine wrote, over several starts, until it is destroyed", async () => {
    const { id } = await host.created({ exec: ["sim-log", "2"] });
    await host.start(id);
    expect(await read(id, { follow: true }, 2)).toEqual(["1 line 1", "2 line 2"]);
    await host.stop(id);

    await host.start(id);

    expect(await read(id, { follow: true }, 4)).toEqual(["1 line 1", "2 line 2", "3 line 1", "4 line 2"]);
    expect(await read(id, { tail: 1 })).toEqual(["4 line 2"]);
    expect(await read(id, { after: 3n })).toEqual(["4 line 2"]);
    await host.destroy(id, { force: true });
    expect(await read(id)).toEqual([]);
    expect(await host.logs.owners()).not.toContain(id);
  });

  test("wrong fields and unknown machines", async () => {
    const { id } = await host.created();

    await expect(read(id, { tail: 10_001, after: -1n })).rejects.toMatchObject({
      facts: { fields: "tail,after_sequence" },
    });
    await expect(read(UNKNOWN)).rejects.toMatchObject({ reason: "MACHINE_NOT_FOUND" });
  });
});

describe("the host", () => {
  test("has its identity, status and holds", async () => {
    const { outboxSequence } = await host.getHost();
    const before = Date.now();
    const hold = host.hold(512, 60_000);
    const after = Date.now();
    const { id } = await host.created();
    await host.start(id);

    const answer = await host.getHost();

    expect(answer.info).toMatchObject({ number: 7, vmm: "sim 1", isolation: "development", region: "ord" });
    expect(answer.status).toMatchObject({
      held: { cpus: 1, memoryMb: 512n, diskMb: 1_024n },
      running: { cpus: 1, memoryMb: 256n },
      machines: new Map([["started", 1]]),
    });
    expect(answer.holds).toMatchObject([{ reservationId: hold.reservationId, epoch: hold.epoch }]);
    // A second more, for the grace, and for clocks in whole milliseconds.
    const expiresAt = present(answer.holds[0]?.expireTime).getTime();
    expect(expiresAt).toBeGreaterThan(before + 59_000);
    expect(expiresAt).toBeLessThan(after + 61_000);
    expect(answer.outboxSequence).toBeGreaterThan(outboxSequence);
    host.host.ledger.release([hold.reservationId]);
  });

  test("lists machines in pages that a stock client takes, however large they are", async () => {
    const { client, ...crowded } = await startHost({
      settings: { capacity: { cpus: 64, memoryMb: 65_536, diskMb: 65_536 } },
    });
    const ids: string[] = [];
    const config = { env: mapToProto({ BIG: "x".repeat(270_000) }) };
    for (let count = 0; count < 16; count += 1) ids.push((await crowded.create({ config })).id);
    const stock = new grpc.Client(crowded.address, grpc.credentials.createInsecure());
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${await token()}`);
    const list = (request: Partial<ListMachinesRequest>) =>
      new Promise<ListMachinesResponse>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = HostServiceService.listMachines;
        const full = ListMachinesRequest.fromPartial(request);
        stock.makeUnaryRequest(path, requestSerialize, responseDeserialize, full, metadata, (err, answer) =>
          err || !answer ? reject(err) : resolve(answer),
        );
      });

    const pages: ListMachinesResponse[] = [];
    do {
      pages.push(await list({ pageSize: 1_000, pageToken: pages.at(-1)?.nextPageToken ?? "" }));
    } while (pages.at(-1)?.nextPageToken !== "");
    const short = await list({ pageSize: 1_000, withoutConfig: true });
    const connections = hostdConnections(token, systemClock);
    const address = { number: 7, name: "host-7", address: crowded.address };
    const asApi = await hostdClient(connections, { clock: systemClock, whereIs: () => address }).listMachines(
      address,
      {},
    );
    const whole = call(client, client.listMachines, ListMachinesRequest.create(), SCOPE);

    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flatMap(({ machines }) => machines.map(({ id }) => id))).toEqual(ids.sort());
    expect(short.machines.map(({ id }) => id)).toEqual(ids);
    expect(short.machines.every(({ config: none }) => none === undefined)).toBe(true);
    await expect(whole).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "LIST_TOO_LARGE" });
    expect(asApi.map(({ id }) => id)).toEqual(ids);
    connections.close();
    stock.close();
    await crowded.close();
  });

  test("lists all machines without their events", async () => {
    const ids = [(await host.create()).id, (await host.created()).id].sort();

    const { machines } = await call(
      host.client,
      host.client.listMachines,
      ListMachinesRequest.create(),
      SCOPE,
    );

    const listed = machines.filter(({ id }) => ids.includes(id));
    expect(listed.map(({ id }) => id)).toEqual(ids);
    expect(listed.flatMap(({ events }) => events)).toEqual([]);
  });

  test("returns exactly the configuration of the create", async () => {
    const config = {
      env: new Map([
        ["A", "1"],
        ["__proto__", "2"],
        ["constructor", "3"],
      ]),
      init: { exec: ["/bin/sh"], entrypoint: ["/e"], cmd: ["c"], user: "app", workingDir: "/srv" },
      services: [{ protocol: "tcp", internalPort: 80 }],
      stopConfig: { signal: "SIGTERM", timeout: durationToProto(1_500) },
      metadata: mapToProto({ team: "x" }),
    };
    const request = createRequest(host.hold(), { config });

    const { machine } = await call(host.client, host.client.createMachine, request, SCOPE);

    expect(machine?.config).toEqual(request.machine?.config);
    expect(machine?.imageRef).toEqual(request.machine?.imageRef);
    expect(machine?.createTraceId).toBe("c".repeat(32));
  });
});

describe("tokens", () => {
  test.each(["getMachine", "startMachine", "destroyMachine", "getHost"] as const)(
    "%s needs the scope internal",
    async (method) => {
      const claims = { subject: "user", org: "acme", scopes: ["machines:write", "admin"] as const };
      const user = await mintToken(KEYS.privateKey, { ...claims, scopes: [...claims.scopes] }, 60);
      const client = connect(HostServiceClient, host.address, { token: () => user, ownConnection: true });
      const stranger = connect(HostServiceClient, host.address, { ownConnection: true });
      const request = { machineId: UNKNOWN, org: "", watch: undefined, force: false, ignoreMissing: true };

      // The requests of these methods are subsets of this one.
      const ask = (by: HostServiceClient) =>
        call(by, by[method] as HostServiceClient["getMachine"], request, SCOPE);

      await expect(ask(client)).rejects.toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" });
      await expect(ask(stranger)).rejects.toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
      client.close();
      stranger.close();
    },
  );
});
