import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HostServiceClient } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { call, connect, openStream } from "../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { hostFolder, KEYS, token } from "./fixture.ts";
import { FakeApi, serveImages, serveScheduler } from "./neighbours.ts";
import { hostdEnvironment, killHostd, spawnHostd } from "./process.ts";
import { createRequest, DIGEST, present } from "./requests.ts";

const SCOPE = { timeoutMs: 20_000 };

let folder: ReturnType<typeof hostFolder>;
let images: Awaited<ReturnType<typeof serveImages>>;
let scheduler: Awaited<ReturnType<typeof serveScheduler>>;
let record: FakeApi;
let api: Awaited<ReturnType<FakeApi["serve"]>>;
const processes: ChildProcess[] = [];

beforeEach(async () => {
  folder = hostFolder();
  writeFileSync(join(folder.path, "1.public.pem"), KEYS.publicKey);
  writeFileSync(join(folder.path, "1.private.pem"), KEYS.privateKey);
  record = new FakeApi();
  api = await record.serve();
  scheduler = await serveScheduler();
  images = await serveImages();
});
afterEach(async () => {
  for (const child of processes.splice(0)) await killHostd(child);
  await api.close();
  await scheduler.close();
  await images.close();
  folder.remove();
});

/** Runs hostd, beside the neighbours of this file. */
function run(more: Record<string, string> = {}, ...argv: string[]) {
  const own = hostdEnvironment(folder.path, { images: images.address });
  const neighbours = { HOSTD_SCHEDULERS: scheduler.address, HOSTD_APIS: api.address };
  const hostd = spawnHostd({ ...own, ...neighbours, ...more }, argv);
  processes.push(hostd.child);
  return hostd;
}

async function startHostd(more: Record<string, string> = {}) {
  const hostd = run(more);
  const client = connect(HostServiceClient, `127.0.0.1:${await hostd.ready}`, { token, ownConnection: true });
  return {
    ...hostd,
    client,
    async created(exec: string[] = ["/bin/server"]): Promise<string> {
      const request = createRequest(await scheduler.auction(), { exec });
      const { machine } = await call(client, client.createMachine, request, SCOPE);
      const machineId = present(machine).id;
      for await (const _ of openStream(
        client,
        client.prepareMachine,
        { machineId, credentials: undefined },
        SCOPE,
      )) {
        // Its end is what counts.
      }
      return machineId;
    },
    start: (machineId: string) =>
      call(
        client,
        client.startMachine,
        { leaseNonce: "", machineId, org: "", watch: undefined, source: "", fromProxy: false },
        SCOPE,
      ),
    stop: (machineId: string) =>
      call(
        client,
        client.stopMachine,
        {
          leaseNonce: "",
          ifUnusedFor: undefined,
          source: "",
          ignoreLease: false,
          machineId,
          org: "",
          signal: "",
          timeout: undefined,
        },
        SCOPE,
      ),
    get: async (machineId: string) =>
      present((await call(client, client.getMachine, { machineId, org: "" }, SCOPE)).machine),
    async end(signal: NodeJS.Signals): Promise<number | null> {
      client.close();
      hostd.child.kill(signal);
      const [code] = await once(hostd.child, "exit");
      return code;
    },
  };
}

describe("hostd as a process", () => {
  test("attaches, bids, gets an award, starts, reports its changes and announces itself", async () => {
    const hostd = await startHostd();
    const id = await hostd.created();

    await hostd.start(id);

    await expect.poll(() => record.events).toEqual([`${id} 1 1`, `${id} 2 2`, `${id} 3 3`, `${id} 4 4`]);
    await expect.poll(() => record.announcements.length).toBeGreaterThan(0);
    expect(record.announcements[0]).toMatchObject({ number: 7, name: "host-7", region: "ord", vmm: "sim 1" });
    expect(record.announcements[0]?.address).toBe(`127.0.0.1:${await hostd.ready}`);
    expect([...images.pins]).toEqual([id]);
    await expect.poll(() => scheduler.hints).toContainEqual([Number.parseInt(DIGEST.slice(7, 15), 16)]);
    expect(await hostd.end("SIGTERM")).toBe(0);
  });

  test("after kill -9 and a restart it has its machines, and the database each change once", async () => {
    const before = await startHostd();
    const [running, ending] = [
      await before.created(),
      await before.created(["sim-exit", "4", "sim-run-for", "300"]),
    ];
    await Promise.all([before.start(running), before.start(ending)]);
    await before.end("SIGKILL");

    const after = await startHostd();

    expect((await after.get(running)).state).toBe(MachineState.STARTED);
    await expect.poll(async () => (await after.get(ending)).state).toBe(MachineState.STOPPED);
    expect((await after.get(ending)).events[0]?.exit?.exitCode).toBe(4);
    expect((await after.stop(running)).machine?.state).toBe(MachineState.STOPPED);
    await expect.poll(() => record.events.at(-1)).toBe(`${running} 6 6`);
    expect(new Set(record.events).size).toBe(record.events.length);
    expect(await after.end("SIGTERM")).toBe(0);
  });

  test("after an outage of the api the database has each change once and in order", async () => {
    const hostd = await startHostd();
    const id = await hostd.created();
    await expect.poll(() => record.applied).toBe(2n);
    await api.close();
    for (let i = 0; i < 5; i += 1) {
      await hostd.start(id);
      await hostd.stop(id);
    }
    record.loseAnswers = 2;

    api = await record.serve(api.port);

    await expect.poll(() => record.applied).toBe(22n);
    const generations = record.events.map((event) => Number(event.split(" ")[2]));
    expect(generations).toEqual(Array.from({ length: 22 }, (_, index) => index + 1));
    await expect
      .poll(async () => (await call(hostd.client, hostd.client.getHost, {}, SCOPE)).outboxAcknowledged)
      .toBe(22n);
    await hostd.end("SIGTERM");
  });

  test("with HOSTD_STOP_VMS_ON_EXIT it stops its machines and reports that", async () => {
    const hostd = await startHostd({ HOSTD_STOP_VMS_ON_EXIT: "true" });
    const id = await hostd.created();
    await hostd.start(id);

    expect(await hostd.end("SIGTERM")).toBe(0);

    expect(record.events.at(-1)).toBe(`${id} 6 6`);
  });
});

describe("hostd that is terminated during a long stop", () => {
  test("does not wait for it, and the next one resumes it", async () => {
    const before = await startHostd();
    const id = await before.created(["sim-signal-ignore"]);
    await before.start(id);
    const request = {
      leaseNonce: "",
      ifUnusedFor: undefined,
      source: "",
      ignoreLease: false,
      machineId: id,
      org: "",
      signal: "",
      timeout: durationToProto(300_000),
    };
    call(before.client, before.client.stopMachine, request, SCOPE).catch(() => {});
    await expect.poll(async () => (await before.get(id)).state).toBe(MachineState.STOPPING);

    expect(await before.end("SIGTERM")).toBe(0);

    const after = await startHostd();
    expect((await after.get(id)).state).toBe(MachineState.STOPPING);
    const hurried = { ...request, signal: "SIGKILL" };
    const { machine } = await call(after.client, after.client.stopMachine, hurried, SCOPE);
    expect(machine?.events[0]?.exit).toMatchObject({ signal: "SIGKILL", requestedStop: true });
    await after.end("SIGTERM");
  });
});

describe("hostd does not start", () => {
  test("beside another one on the same folder", async () => {
    const first = await startHostd();

    const second = run();
    const [code] = await once(second.child, "close");

    expect(code).toBe(1);
    expect(JSON.stringify(second.lines)).toContain("another hostd runs with this HOSTD_DIR");
    await first.end("SIGTERM");
  });

  test("on a damaged database, and leaves it as it is", async () => {
    const first = await startHostd();
    await first.end("SIGTERM");
    const path = join(folder.path, "state/state.db");
    writeFileSync(path, Buffer.alloc(20_000, 0xa5));

    const second = run();
    const [code] = await once(second.child, "close");

    expect(code).toBe(1);
    expect(JSON.stringify(second.lines)).toContain("is damaged");
    expect(readFileSync(path).equals(Buffer.alloc(20_000, 0xa5))).toBe(true);
  });

  test("without the isolation that it requires, and says what is missing", async () => {
    const hostd = run({ HOSTD_REQUIRE_ISOLATION: "hardware" });
    const [code] = await once(hostd.child, "close");

    expect(code).toBe(1);
    expect(JSON.stringify(hostd.lines)).toContain("only development: HOSTD_VMM=sim");
    expect(JSON.stringify(hostd.lines)).not.toContain('"ready"');
  });

  test("with a wrong configuration, and names all violations", async () => {
    const hostd = run({ HOSTD_NUMBER: "-1", HOSTD_CPUS: "x" });
    const [code] = await once(hostd.child, "close");

    expect(code).toBe(1);
    expect(hostd.errors()).toMatch(/HOSTD_NUMBER[\s\S]*HOSTD_CPUS/);
  });
});
