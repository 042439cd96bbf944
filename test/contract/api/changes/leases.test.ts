import { describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { changeCalls } from "../../../support/change-calls.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { api, id, user, withMachine, world } from "./fixture.ts";

withMachine();

describe("a lease", () => {
  test("is owned by the subject of the token, and told to others without its nonce", async () => {
    const { lease } = await user.acquire(id, { ttl: durationToProto(60_000), description: "a deploy" });

    const machine = await api.user.get(id);
    expect(lease).toMatchObject({ owner: "test", description: "a deploy" });
    expect(lease?.nonce).toMatch(/^[0-9a-f]{32}$/);
    expect(lease?.instanceId).toBe(machine?.instanceId);
    expect(machine?.lease).toEqual({ ...lease, nonce: "" });
    expect((await user.lease(id)).lease).toEqual(lease);
  });

  test("lasts 30 s unless it says otherwise, and anew when it is refreshed, with the same nonce", async () => {
    const before = Date.now();
    const first = (await user.acquire(id)).lease;
    const again = (await user.acquire(id, { nonce: first?.nonce ?? "", ttl: durationToProto(3_600_000) }))
      .lease;

    const ttlMs = (first?.expireTime?.getTime() ?? 0) - before;
    expect(ttlMs).toBeGreaterThanOrEqual(30_000);
    expect(again?.nonce).toBe(first?.nonce);
    expect(again?.expireTime?.getTime()).toBeGreaterThanOrEqual(before + 3_600_000);
  });

  test("is not taken from its holder, nor released with another nonce", async () => {
    const { lease } = await user.acquire(id);

    const stolen = await faultOf(user.acquire(id));
    const released = await faultOf(user.release(id, "0".repeat(32)));

    const expire_time = lease?.expireTime?.toISOString();
    const held = {
      code: "ABORTED",
      reason: "LEASE_HELD",
      facts: { machine_id: id, owner: "test", expire_time },
    };
    expect(stolen).toMatchObject(held);
    expect(stolen.message).toBe(
      `machine ID ${id} lease currently held by test, expires at ${lease?.expireTime?.toISOString()}`,
    );
    expect(released).toMatchObject(held);
    await user.release(id, lease?.nonce ?? "");
    expect(await faultOf(user.release(id, lease?.nonce ?? ""))).toMatchObject({ reason: "LEASE_NOT_FOUND" });
    expect(await faultOf(user.lease(id))).toMatchObject({ code: "NOT_FOUND", reason: "LEASE_NOT_FOUND" });
    const refreshed = await faultOf(user.acquire(id, { nonce: lease?.nonce ?? "" }));
    expect(refreshed).toMatchObject({ reason: "LEASE_NOT_FOUND" });
    expect((await api.user.get(id))?.lease).toBeUndefined();
  });

  test("has every wrong field named at once", async () => {
    const long = { ttl: durationToProto(3_600_001), description: "x".repeat(257), nonce: "x".repeat(65) };
    const cases = [
      [() => user.acquire("", long), "machine_id,ttl,description,nonce"],
      [() => user.acquire(id, { ttl: durationToProto(999), description: "\0" }), "ttl,description"],
      [() => user.lease("x"), "machine_id"],
      [() => user.release("x", ""), "machine_id,nonce"],
    ] as const;
    for (const [act, fields] of cases)
      expect(await faultOf(act())).toMatchObject({ reason: "INVALID_FIELDS", facts: { fields } });
  });

  test("ends with its machine", async () => {
    const { lease } = await user.acquire(id);
    await user.destroy(id, lease?.nonce);
    await world.sql(
      "update machines set state = 'destroyed', snapshot = snapshot || '{\"state\":\"destroyed\"}' where id = $1",
      [id],
    );

    for (const act of [() => user.lease(id), () => user.release(id, lease?.nonce ?? "")])
      expect(await faultOf(act())).toMatchObject({ code: "NOT_FOUND", reason: "LEASE_NOT_FOUND" });
  });

  test("of another organisation's machine is not told of", async () => {
    const acme = await api.as("acme", ["machines:read", "machines:write"]);
    const other = changeCalls(acme);
    await user.acquire(id);

    for (const act of [() => other.acquire(id), () => other.lease(id), () => other.release(id, "x")])
      expect(await faultOf(act())).toMatchObject({ code: "NOT_FOUND", reason: "MACHINE_NOT_FOUND" });
    acme.close();
  });
});

describe("while a lease is held", () => {
  const guarded: [string, (nonce: string) => Promise<unknown>][] = [
    ["a stop", (nonce) => user.stop(id, nonce)],
    ["a start", (nonce) => user.start(id, nonce)],
    ["a restart", (leaseNonce) => user.restart(id, { leaseNonce })],
    ["a signal", (nonce) => user.signal(id, "SIGHUP", nonce)],
    ["a cordon", (nonce) => user.cordon(id, true, nonce)],
    ["a destroy", (nonce) => user.destroy(id, nonce)],
  ];

  test.each(guarded)("%s needs its nonce", async (_, act) => {
    const { lease } = await user.acquire(id);

    for (const nonce of ["", "0".repeat(32)]) {
      const fault = await faultOf(act(nonce));
      expect(fault).toMatchObject({ code: "ABORTED", reason: "LEASE_HELD", facts: { owner: "test" } });
    }
    await act(lease?.nonce ?? "");
  });

  test("its host is drained", async () => {
    await user.acquire(id);
    const { hosts } = api.admin;
    const told = [];
    for await (const one of openStream(hosts, hosts.drainHost, { host: "1" }, { timeoutMs: 20_000 }))
      told.push(one);

    expect(told).toContainEqual(
      expect.objectContaining({ machineId: id, state: MachineState.STOPPED, problem: "" }),
    );
    const open = { host: "1", scheduling: Scheduling.OPEN };
    await call(hosts, hosts.setHostScheduling, open, { timeoutMs: 20_000 });
  });

  test("metadata is set, the machine is read and listed, and its app is deleted", async () => {
    await user.acquire(id);

    await user.metadata(id, { a: "1", b: "2" }, { replace: true });
    expect((await api.user.get(id))?.lease?.nonce).toBe("");
    const { apps } = api.user;
    await new Promise<void>((resolve, reject) =>
      apps.deleteApp({ name: "web", force: true }, (err) => (err ? reject(err) : resolve())),
    );
    expect(world.onHosts).toEqual([]);
    await api.user.createApp("web");
  });
});

describe("a create with a lease", () => {
  const leaseTtl = durationToProto(60_000);

  test("starts the machine, and answers with its nonce, again when it is repeated", async () => {
    const request = { requestId: "leased", skipLaunch: false, leaseTtl };
    const { machine } = await api.user.create(request);
    const again = await api.user.create(request);

    expect(machine).toMatchObject({ state: MachineState.STARTED, lease: { owner: "test" } });
    expect(again).toMatchObject({ repeated: true, machine: { id: machine?.id, lease: machine?.lease } });
    expect(await faultOf(user.stop(machine?.id ?? ""))).toMatchObject({ reason: "LEASE_HELD" });
    await user.stop(machine?.id ?? "", machine?.lease?.nonce);
    const rows = await world.sql("select snapshot::text from machines");
    const sagas = await world.sql("select state::text, request::text from sagas");
    expect(JSON.stringify([rows, sagas])).not.toContain(machine?.lease?.nonce);
  });

  test("counts its time from the end of the pull, even when it ran out meanwhile", async () => {
    world.host(1).before("prepareMachine", () => world.host(1).leases.clear());

    const { machine } = await api.user.create({ leaseTtl });

    expect(machine).toMatchObject({ state: MachineState.CREATED, lease: { owner: "test" } });
    expect((await user.lease(machine?.id ?? "")).lease?.nonce).toBe(machine?.lease?.nonce);
  });

  test("whose machine somebody else has leased meanwhile answers without a nonce, and starts nothing", async () => {
    world.host(1).before("prepareMachine", (machineId) => {
      const machine = world.host(1).machines.get(machineId);
      world.host(1).leases.clear();
      if (machine)
        world
          .host(1)
          .leases.acquire(machine, { ttl: leaseTtl, owner: "other", description: "", requestId: "" }, "");
    });

    const { machine } = await api.user.create({ skipLaunch: false, leaseTtl });

    expect(machine?.state).toBe(MachineState.CREATED);
    expect(machine?.lease?.nonce ?? "").toBe("");
  });

  test("that fails is undone in spite of its lease", async () => {
    world.host(1).before("prepareMachine", () => {
      throw new Fault("NOT_FOUND", "IMAGE_NOT_FOUND", "no such image");
    });

    expect(await faultOf(api.user.create({ leaseTtl }))).toMatchObject({ reason: "IMAGE_NOT_FOUND" });
    expect(world.onHosts.map((machine) => machine.id)).toEqual([id]);
  });

  test("is refused for a time that no lease has", async () => {
    const fault = await faultOf(api.user.create({ leaseTtl: durationToProto(3_600_001) }));

    expect(fault).toMatchObject({ reason: "INVALID_FIELDS", facts: { fields: "lease_ttl" } });
  });
});
