import { beforeEach, describe, expect, test } from "vitest";
import { DrainHostResponse, Host } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { MachineState, PlacementStrategy } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { Reservation } from "../../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { mapToProto } from "../../../../src/lib/grpc/messages/maps.ts";
import { useCli } from "../support.ts";

const cli = useCli();

const requestsOf = (method: string) =>
  cli.api.requests.filter((one) => one.method === method).map((one) => one.request);

beforeEach(() => {
  const amount = (cpus: number, memoryMb: bigint) => ({ cpus, memoryMb, diskMb: 0n });
  cli.api.hosts = [
    Host.fromPartial({
      ...{
        number: 1,
        name: "ord-1",
        region: "ord",
        attached: true,
        attachTime: new Date(Date.now() - 65_000),
      },
      ...{
        scheduling: Scheduling.DRAINING,
        labels: new Map([["disk", "nvme"]]),
        warmVms: 3,
        isolation: "hardware",
      },
      ...{ capacity: amount(8, 4_096n), running: amount(2, 512n), machines: new Map([["started", 2]]) },
    }),
    Host.fromPartial({
      ...{ number: 2, name: "ord-2", region: "ord", attached: true, scheduling: Scheduling.OPEN },
      backoffUntilTime: new Date(Date.now() + 5_400_000),
    }),
  ];
});

describe("hosts", () => {
  test("the list shows scheduling, running machines and warm VMs", async () => {
    const { code, out } = await cli.home.hover("host", "list");

    expect(code).toBe(0);
    expect(out).toMatch(/NO +HOST +REGION.*SCHEDULING.*RUNNING +WARM +MACHINES/);
    expect(out).toMatch(/1 +ord-1 +ord .*for 1m +draining .*2 CPUs, 512 MB +3 +2 started/);
    expect(out).toMatch(/2 +ord-2 .*backoff/);
    expect(out).toMatch(/ord-2: in backoff for refusing awards; ends in 1h/);
  });

  test("show finds a host by number or name, and refuses an unknown one", async () => {
    expect((await cli.home.hover("host", "show", "1")).out).toMatch(/labels +disk=nvme\n/);
    const json = await cli.home.hover("host", "show", "ord-1", "--json");
    expect(JSON.parse(json.out)).toMatchObject({
      scheduling: "draining",
      labels: { disk: "nvme" },
      warm_vms: 3,
      backoff_until_time: null,
    });
    expect(await cli.home.hover("host", "show", "9")).toMatchObject({
      code: 1,
      err: "Error: there is no host 9 (HOST_UNKNOWN)\nNext: hover host list\n",
    });
  });

  describe("whose disk is almost full", () => {
    beforeEach(() => {
      cli.api.hosts = [
        Host.fromPartial({
          ...{ number: 1, name: "ord-1", region: "ord", attached: true, scheduling: Scheduling.OPEN },
          ...{ diskFreeMb: 300n, diskReserveMb: 1_024n },
        }),
        Host.fromPartial({
          number: 2,
          name: "ord-2",
          attached: true,
          diskFreeMb: 2_048n,
          diskReserveMb: 1_024n,
        }),
        Host.fromPartial({ number: 3, name: "ord-3", attached: true, scheduling: Scheduling.OPEN }),
      ];
    });

    test("are marked in the list, unlike others", async () => {
      const { out } = await cli.home.hover("host", "list");

      expect(out).toMatch(/1 +ord-1 .* disk full /);
      expect(out).not.toMatch(/ord-[23] .*disk full/);
    });

    test("show the free space and how to get more", async () => {
      const [full, roomy, silent] = await Promise.all(
        ["1", "2", "3"].map((host) => cli.home.hover("host", "show", host)),
      );

      expect(full?.out).toMatch(
        /disk free +300 MB, 1 GB kept for the machines there; it takes no new machines: free space in HOSTD_DIR's file system\n/,
      );
      expect(roomy?.out).toMatch(/disk free +2 GB, 1 GB kept for the machines there\n/);
      expect(silent?.out).not.toContain("disk free");
    });

    test("are in JSON, where unknown values are null", async () => {
      const { out } = await cli.home.hover("host", "list", "--json");

      expect(JSON.parse(out)).toMatchObject([
        { disk_free_mb: 300, disk_reserve_mb: 1_024 },
        { disk_free_mb: 2_048, disk_reserve_mb: 1_024 },
        { disk_free_mb: null, disk_reserve_mb: null },
      ]);
    });
  });

  test("the doctor names each host that takes no machines, the reason, and a fix for the first", async () => {
    const of = (number: number, fields: object) =>
      Host.fromPartial({
        number,
        name: `ord-${number}`,
        attached: true,
        scheduling: Scheduling.OPEN,
        ...fields,
      });
    const check = async (...hosts: Host[]) => {
      cli.api.hosts = hosts;
      const { code, out } = await cli.home.hover("doctor", "--json");
      const checks: { name: string }[] = JSON.parse(out).checks;
      return { code, ...checks.find(({ name }) => name === "hosts") };
    };
    const full = of(1, { diskFreeMb: 3n, diskReserveMb: 1_024n });
    const gone = of(2, { attached: false, statusMessage: "not attached: no word for 40 s" });
    const cordoned = of(3, { scheduling: Scheduling.CORDONED });

    expect(await check(full, cordoned, of(4, {}))).toMatchObject({
      status: "warn",
      detail:
        "3 attached; ord-1 takes no new machines, its disk is almost full (3 MB free of which 1024 must stay); ord-3 is cordoned",
      fix: "free space on ord-1 where its HOSTD_DIR is; hover host show ord-1",
    });
    expect(await check(full, gone)).toMatchObject({
      detail: expect.stringMatching(
        /^1 of 2 attached; ord-2: not attached: no word for 40 s; ord-1 takes no/,
      ),
      fix: expect.stringContaining("hover host show ord-2"),
    });
    expect(await check(cordoned)).toMatchObject({ fix: "hover host uncordon ord-3" });
    expect(await check(of(4, {}))).toMatchObject({ status: "ok", detail: "1 attached", fix: null });
  });

  test("the doctor fails when the outbox of a host is stalled, and says how much the database lacks", async () => {
    const check = async (fields: object) => {
      cli.api.hosts = [Host.fromPartial({ number: 1, name: "ord-1", attached: true, ...fields })];
      const { code, out } = await cli.home.hover("doctor", "--json");
      const checks: { name: string }[] = JSON.parse(out).checks;
      return { code, ...checks.find(({ name }) => name === "outboxes") };
    };

    const stalled = await check({ outboxStalledS: 70n, outboxEvents: 180n });

    expect(stalled).toMatchObject({
      code: 1,
      status: "fail",
      detail: "ord-1 has delivered none of 180 changes for 70 s: lists are stale",
      fix: expect.stringContaining("ord-1"),
    });
    expect(await check({})).toMatchObject({ status: "ok" });
  });

  test("cordon and uncordon show the earlier scheduling", async () => {
    expect((await cli.home.hover("host", "cordon", "ord-1")).out).toBe("ord-1 is cordoned (it was open)\n");
    const json = await cli.home.hover("host", "uncordon", "1", "--json");

    expect(JSON.parse(json.out)).toEqual({ host_number: 1, scheduling: "open", previous: "open" });
    expect(requestsOf("setHostScheduling")).toEqual([
      { host: "ord-1", scheduling: Scheduling.CORDONED },
      { host: "1", scheduling: Scheduling.OPEN },
    ]);
  });

  test("a drain reports each machine, and fails when one still runs", async () => {
    const step = (fields: object) => DrainHostResponse.fromPartial({ hostNumber: 1, total: 2, ...fields });
    cli.api.drained = [
      step({}),
      step({ machineId: "00001aaaaaaaaa", state: MachineState.STOPPED, done: 1 }),
      step({ machineId: "00001bbbbbbbbb", state: MachineState.STARTED, problem: "it hangs", done: 2 }),
    ];

    const text = await cli.home.hover("host", "drain", "1");
    const json = await cli.home.hover("host", "drain", "1", "--json");

    expect(text).toMatchObject({
      code: 1,
      out: "1/2  00001aaaaaaaaa  stopped\n2/2  00001bbbbbbbbb  not stopped: it hangs\n",
      err: "1 takes and starts no more machines; stopping 2 machines\n1 of 2 still run.\nNext: hover host drain 1\n",
    });
    expect(JSON.parse(json.out)).toMatchObject({
      scheduling: "draining",
      machines: [
        { id: "00001aaaaaaaaa", state: "stopped", problem: null },
        { id: "00001bbbbbbbbb", state: "started", problem: "it hangs" },
      ],
    });
    cli.api.drained = [step({ total: 0 })];
    expect((await cli.home.hover("host", "drain", "1")).code).toBe(0);
  });

  test("a start on a draining host suggests the next command", async () => {
    cli.api.add({ id: "0000a1b2c3d4e5" });
    const facts = { host_number: "10" };
    cli.api.failures.set(
      "startMachine",
      new Fault("FAILED_PRECONDITION", "HOST_DRAINING", "an operator is emptying host 10", facts),
    );

    expect((await cli.home.hover("machine", "start", "0000a1b2c3d4e5")).err).toBe(
      "Error: an operator is emptying host 10 (HOST_DRAINING)\nNext: hover host uncordon 10\n",
    );
  });
});

test("reservations are listed with resources, hosts, claimant and deadline", async () => {
  expect((await cli.home.hover("reservation", "list")).err).toMatch(/^No live reservation/);
  cli.api.reservations = [
    Reservation.fromPartial({
      ...{ id: "r1", app: "web", resources: { cpus: 1, memoryMb: 256n, diskMb: 1_024n } },
      offers: [
        { hostNumber: 1, hostName: "ord-1" },
        { hostNumber: 2, hostName: "ord-2" },
      ],
      ...{ claimant: "saga", claimedHost: 2, expireTime: new Date(Date.now() + 5_400_000) },
    }),
  ];

  const { out } = await cli.home.hover("reservations", "ls", "--region", "gru", "--limit", "5");
  const json = await cli.home.hover("reservation", "list", "--json");

  expect(out).toMatch(/r1 +web +1 CPU, 256 MB +ord-1, ord-2 +for host 2 +in 1h/);
  expect(JSON.parse(json.out)).toMatchObject({
    reservations: [{ id: "r1", claimant: "saga", claimed_host: 2, offers: [{ host_name: "ord-1" }, {}] }],
    total: 1,
  });
  expect(requestsOf("listReservations").at(-2)).toEqual({ region: "gru", pageSize: 5, pageToken: "" });
});

test("flags become placement, and contradictions are refused", async () => {
  await cli.home.hover("app", "create", "web");
  const flags = ["--host-label", "disk=nvme", "--host-label", "gpu=a10", "--on-host", "3", "--pack"];
  await cli.home.hover("machine", "create", "hello", "-a", "web", ...flags, "--distinct-hosts");
  await cli.home.hover("machine", "create", "hello", "-a", "web");

  expect(requestsOf("createMachine")).toMatchObject([
    {
      placement: {
        hostLabels: mapToProto({ disk: "nvme", gpu: "a10" }),
        hostNumber: 3,
        strategy: PlacementStrategy.PACK,
        distinctHosts: true,
      },
    },
    { placement: undefined },
  ]);
  expect(await cli.home.hover("m", "run", "hello", "-a", "web", "--pack", "--spread")).toMatchObject({
    code: 2,
    err: expect.stringContaining("Either --pack or --spread"),
  });
});
