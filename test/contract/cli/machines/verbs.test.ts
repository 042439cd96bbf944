import { describe, expect, test } from "vitest";
import {
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { UpdateMachineRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

describe("what changes the state of machines", () => {
  test("restart passes signal, grace and force on", async () => {
    cli.api.add({ id: ID });

    const { code, out } = await cli.home.within("m", "restart", ID, "-s", "hup", "--time", "3", "--force");

    expect([code, out]).toEqual([0, expect.stringMatching(/^0000a1b2c3d4e5 restarted in /)]);
    expect(cli.sent("restartMachine")).toMatchObject({
      signal: "SIGHUP",
      timeout: { seconds: 3n },
      forceStop: true,
    });
  });

  test("kill and signal say what was sent to which machine", async () => {
    cli.api.add({ id: ID });
    cli.api.add({ id: OTHER });

    const killed = await cli.home.within("m", "kill", ID, OTHER);
    const signalled = await cli.home.within("m", "signal", ID, "-s", "usr1", "--json");

    expect(killed.out).toBe(`${ID} was sent SIGKILL\n${OTHER} was sent SIGKILL\n`);
    expect(JSON.parse(signalled.out)).toMatchObject([{ id: ID, signal: "SIGUSR1" }]);
  });

  test("cordon and uncordon are shown in the status", async () => {
    cli.api.add({ id: ID });

    const cordoned = await cli.home.within("m", "cordon", ID);
    const status = await cli.home.within("m", "status", ID);
    const uncordoned = await cli.home.within("m", "uncordon", ID);

    expect([cordoned.out, uncordoned.out]).toEqual([`${ID} cordoned\n`, `${ID} uncordoned\n`]);
    expect(status.out).toMatch(/^cordoned {4}proxies send it no requests$/m);
  });

  test("suspend says that the machine is suspended", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });

    const { code, out } = await cli.home.within("m", "suspend", ID);

    expect([code, out]).toEqual([0, expect.stringMatching(/suspended in/)]);
    expect(cli.api.machine(ID).state).toBe(MachineState.SUSPENDED);
  });

  test("list and wait know the states of a suspend", async () => {
    const all = await cli.home.within("m", "list", "-a", "web", "--state", "all");
    const wrong = await cli.home.within("m", "wait", ID, "--state", "paused");

    expect(all.code).toBe(0);
    expect(cli.sent<{ states: MachineState[] }>("listMachines").states).toEqual(
      expect.arrayContaining([MachineState.SUSPENDING, MachineState.SUSPENDED, MachineState.DESTROYED]),
    );
    expect(wrong.err).toMatch(/states are .*suspending, suspended/);
  });

  test("destroy removes the machines of an app that have an image", async () => {
    cli.api.add({ id: ID });
    const config = { ...MachineConfig.create(), image: "other" };
    cli.api.add({ id: OTHER, config });

    const { code, out } = await cli.home.within("m", "destroy", "-a", "web", "-i", "127.0.0.1:5000/hello:1");

    expect([code, out]).toEqual([0, `${ID} destroyed\n`]);
  });

  test("carries the nonce of a lease with each of them", async () => {
    cli.api.add({ id: ID });
    const verbs = {
      startMachine: ["start"],
      stopMachine: ["stop"],
      restartMachine: ["restart"],
      signalMachine: ["kill"],
      setMachineCordon: ["cordon"],
      updateMachine: ["update", "--rm"],
      execMachine: ["exec"],
      destroyMachine: ["destroy", "-f"],
    };
    for (const [method, [verb = "", ...more]] of Object.entries(verbs)) {
      const program = verb === "exec" ? ["true"] : [];
      const args = ["m", verb, "--lease-nonce", "abc", ...more, ID, ...program];
      const { code, err } = await cli.home.within(...args);
      expect([verb, code, err]).toEqual([verb, 0, ""]);
      const sent = cli.sent<{ leaseNonce?: string; message?: { value: { leaseNonce: string } } }>(method);
      expect(sent.leaseNonce ?? sent.message?.value.leaseNonce, verb).toBe("abc");
    }
  });
});

describe("hover machine update", () => {
  test("puts flags over the configuration that the machine has, and nothing else", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED, instanceId: "01JE0000000000000000000001" });

    const { code, out } = await cli.home.within(
      ...["m", "update", ID, "-i", "hello:2", "-e", "A=1", "-m", "team=blue", "--vm-memory", "512"],
      ...["--restart", "on-fail", "--schedule", "daily", "--rollback", "--ready-timeout", "20s"],
      ...["--command", "serve 'a b'", "-y", "--skip-health-checks", "--detach"],
    );

    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/updated in .*: started\n {2}version {3}01JE.*2\n$/),
    ]);
    const request = cli.sent<UpdateMachineRequest>("updateMachine");
    expect(request).toMatchObject({
      currentVersion: "01JE0000000000000000000001",
      launch: false,
      skipLaunch: false,
      rollback: true,
      readyTimeout: { seconds: 20n },
      config: {
        image: "hello:2",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: 512 },
        init: { cmd: ["serve", "a b"] },
        services: [{ protocol: "tcp", internalPort: 8080 }],
        stopConfig: { signal: "SIGTERM" },
        restart: { policy: "on-failure" },
        schedule: "daily",
      },
    });
    expect(Object.fromEntries(request.config?.env ?? [])).toEqual({ MixedCase_KEY: "v", A: "1" });
    expect(Object.fromEntries(request.config?.metadata ?? [])).toEqual({ team: "blue" });
  });

  test("with --wait holds a lease until the machine has settled, and releases it", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });

    const { code } = await cli.home.within(
      "m",
      "update",
      ID,
      "--image",
      "x",
      "--wait",
      "--wait-timeout",
      "20",
    );

    expect(code).toBe(0);
    expect(cli.api.requests.map(({ method }) => method)).toEqual([
      ...["acquireLease", "getMachine", "updateMachine", "waitMachine", "releaseLease"],
    ]);
    const { nonce } = cli.sent<{ nonce: string }>("releaseLease");
    expect(cli.sent("updateMachine")).toMatchObject({ leaseNonce: nonce });
    expect(cli.sent("waitMachine")).toMatchObject({
      settled: true,
      instanceId: "01JE0000000000000000000002",
      timeout: { seconds: 20n },
    });
  });

  test("update --wait releases its lease on Ctrl-C", async () => {
    cli.api.add({ id: ID, state: MachineState.STARTED });
    cli.api.waitsHang = true;
    const running = cli.home.start({}, "m", "update", ID, "--image", "x", "--wait");
    await expect.poll(() => cli.sent("waitMachine")).toBeDefined();
    expect(cli.api.leases.size).toBe(1);

    running.child.kill("SIGINT");

    expect((await running.ended).code).toBe(130);
    expect(cli.api.leases.size).toBe(0);
  });

  test("releases its lease when the update fails", async () => {
    cli.api.add({ id: ID });
    cli.api.failures.set(
      "updateMachine",
      new Fault("FAILED_PRECONDITION", "ROLLED_BACK", "the old one is back"),
    );

    const { code, err } = await cli.home.within("m", "update", ID, "--image", "x", "--wait");

    expect([code, err]).toEqual([1, expect.stringContaining("(ROLLED_BACK)")]);
    expect(cli.api.leases.size).toBe(0);
  });

  test("removes a port and its service", async () => {
    cli.api.add({ id: ID });

    await cli.home.within("m", "update", ID, "-p", "8080/tcp:-", "-p", "443:80/tcp:tls:http");

    const { config } = cli.sent<UpdateMachineRequest>("updateMachine");
    expect(config?.services).toMatchObject([
      { protocol: "tcp", internalPort: 80, ports: [{ port: 443, handlers: ["tls", "http"] }] },
    ]);
    expect(config?.extra).toBeUndefined();
  });
});

describe("what happened, and what was configured", () => {
  test("events are listed newest first, over all pages up to the limit", async () => {
    cli.api.add({ id: ID });
    cli.api.events = ["e5", "e4", "e3", "e2", "e1"].map((id) => ({
      ...MachineEvent.create(),
      id,
      type: "start",
      status: MachineState.STARTED,
      source: "user",
      time: new Date(Date.now() - 60_000),
    }));

    const table = await cli.home.within("m", "events", ID);
    const json = await cli.home.within("m", "events", ID, "-n", "3", "--json");

    expect(table.out).toMatch(/^EVENT +TYPE +STATE +SOURCE\n1m ago +start +started +user\n/);
    expect(table.out.trimEnd().split("\n")).toHaveLength(6);
    expect(JSON.parse(json.out).map(({ id }: { id: string }) => id)).toEqual(["e5", "e4", "e3"]);
  });

  test("versions are listed with image and size, and go back with --config", async () => {
    cli.api.add({ id: ID });
    const config = {
      ...MachineConfig.create(),
      image: "hello:1",
      guest: { cpuKind: "shared", cpus: 2, memoryMb: 512 },
    };
    const createTime = new Date(Date.now() - 3_600_000);
    cli.api.versions = ["01JE2", "01JE1", "01JE0"].map((instanceId) => ({ instanceId, config, createTime }));

    const table = await cli.home.within("m", "versions", ID, "-d");
    const json = await cli.home.within("m", "versions", ID, "--json");

    expect(table.out).toMatch(
      /^VERSION +CREATED +SIZE +IMAGE\n01JE2 +1h ago +2 shared CPUs, 512 MB +hello:1\n/,
    );
    expect(table.out).toContain('"image": "hello:1"');
    expect(JSON.parse(json.out)).toHaveLength(3);
  });
});

describe("hover machine leases", () => {
  test("are taken, shown and released by whoever may", async () => {
    cli.api.add({ id: ID });

    const none = await cli.home.within("m", "lease", "view", ID);
    const taken = await cli.home.within(
      "m",
      "leases",
      "acquire",
      ID,
      "--ttl",
      "5m",
      "--description",
      "backup",
    );
    const shown = await cli.home.within("m", "leases", "view", ID);
    const cleared = await cli.home.within("m", "leases", "clear", ID);
    const again = await cli.home.within("m", "leases", "clear", ID, "--json");

    expect(none.out).toMatch(new RegExp(`^MACHINE .*\\n${ID} +- +- +-\\n$`));
    expect(taken.out).toMatch(/^[0-9a-f]{32}\n$/);
    expect(cli.sent("acquireLease")).toMatchObject({ ttl: { seconds: 300n }, description: "backup" });
    expect(shown.out).toMatch(/test +in (2\d|30)s +[0-9a-f]{32} +backup/);
    expect(cleared.out).toBe(`the lease of ${ID} is released; test held it\n`);
    expect(JSON.parse(again.out)).toEqual({ id: ID, cleared: false });
  });

  test("a held lease says who holds it, until when, and what to do", async () => {
    cli.api.add({ id: ID });
    const facts = { machine_id: ID, owner: "ci", expire_time: "2026-01-01T00:00:00Z" };
    const message = `machine ID ${ID} lease currently held by ci, expires at 2026-01-01T00:00:00Z`;
    cli.api.failures.set("stopMachine", new Fault("ABORTED", "LEASE_HELD", message, facts));

    const { err } = await cli.home.within("m", "stop", ID);

    expect(err).toContain("currently held by ci, expires at 2026-01-01T00:00:00Z (LEASE_HELD)");
    expect(err).toContain(`Next: hover machine leases view ${ID}`);
  });
});
