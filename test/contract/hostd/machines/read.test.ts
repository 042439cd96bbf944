import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hostdClient, hostdConnections } from "../../../../src/api/hosts/hostd-client.ts";
import {
  HostServiceClient,
  HostServiceService,
  ListMachinesRequest,
  type ListMachinesResponse,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { mintToken } from "../../../../src/lib/auth/auth.ts";
import { call, connect } from "../../../../src/lib/grpc/client.ts";
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
