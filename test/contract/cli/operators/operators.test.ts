import { describe, expect, test } from "vitest";
import type { Host } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { useCli } from "../support.ts";

const cli = useCli();

describe("operators", () => {
  test("organisations are created, shown, put past due, and get parts of a quota", async () => {
    await cli.home.hover("org", "create", "acme", "--machines", "5");
    await cli.home.hover("org", "set-standing", "acme", "past-due");
    await cli.home.hover("org", "set-quota", "acme", "--memory", "1gb");
    await cli.home.hover("org", "update", "acme", "--images", "2tb");

    const { out } = await cli.home.hover("org", "show", "acme", "--json");
    const list = await cli.home.hover("org", "list");

    expect(JSON.parse(out)).toEqual({
      slug: "acme",
      name: "acme",
      standing: "past_due",
      quota: { machines: 5, memory_mb: 1024, image_mb: 2_097_152 },
      machines_used: 2,
      memory_mb_used: 512,
      image_mb_used: 3,
      create_time: "2001-09-09T01:46:40.000Z",
      limits: null,
    });
    expect(list.out).toMatch(/acme +acme +past_due +2 of 5 +512 MB of 1 GB +3 MB of 2 TB/);
  });

  test("an organisation gets limits of its own, one at a time, and loses them again", async () => {
    await cli.home.hover("org", "create", "slow");
    await cli.home.hover("org", "update", "slow", "--rate", "create=1:5", "--rate", "read=2:9");
    await cli.home.hover("org", "update", "slow", "--creates", "3", "--rate", "read=default");

    const shown = await cli.home.hover("org", "show", "slow");
    const none = await cli.home.hover("org", "update", "slow", "--rate", "now");

    expect(shown.out).toMatch(/in each api:\n {2}create: 1 a second, 5 at once\n {2}creates under way: 3/);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("create=10:100")]);
  });

  test("a token goes to standard output alone", async () => {
    const ended = await cli.home.hover(
      "token",
      "create",
      "-o",
      "acme",
      "-s",
      "machines:read,admin",
      "--ttl",
      "2h",
    );

    expect(ended.out).toBe("token-of-acme\n");
    expect(ended.err).toMatch(/expires in (?:1|2)h/);
    expect(cli.sent("createToken")).toEqual({
      org: "acme",
      scopes: ["machines:read", "admin"],
      subject: "",
      ttlSeconds: 7200n,
    });
  });

  test("hosts show allocations, holds and isolation", async () => {
    cli.api.hosts = [host()];

    const table = await cli.home.hover("host", "list");
    const json = await cli.home.hover("host", "ls", "--json");

    expect(table.out).toMatch(
      /ord-1 +ord +ord-a +(?:just now|for \d+s) +open +2 of 8 +512 MB of 4 GB +1 GB of 10 GB +1 CPU, 256 MB +1 CPU, 256 MB +0 +1 started, 2 stopped +development +qemu 7\.2 emulation/,
    );
    expect(table.err).toContain("which isolates nobody");
    expect(JSON.parse(json.out)[0]).toMatchObject({
      number: 1,
      attached: true,
      capacity: { memory_mb: 4096 },
      machines: { started: 1 },
    });
  });

  test("apps are created, listed, and not destroyed with machines in them unless forced", async () => {
    await cli.home.hover("app", "create", "web");
    cli.api.apps.set("web", {
      network: "",
      orgName: "",
      name: "web",
      org: "acme",
      createTime: undefined,
      machineCount: 3,
    });

    const list = await cli.home.hover("apps", "ls", "-q");
    const refused = await cli.home.hover("app", "destroy", "web");
    const forced = await cli.home.hover("app", "rm", "web", "--force", "-j");

    expect(list.out).toBe("web\n");
    expect([refused.code, refused.err]).toEqual([
      1,
      "Error: the app has machines (APP_NOT_EMPTY)\nNext: hover app destroy web --force\n",
    ]);
    expect(JSON.parse(forced.out)).toEqual({ name: "web", machines_destroyed: 3 });
  });
});

test("help is on standard output with exit code 0, for every command", async () => {
  const commands = [
    [],
    ["machine"],
    ["app"],
    ["org"],
    ["token"],
    ["host"],
    ["trace"],
    ["doctor"],
    ["m", "run"],
    ["m", "logs"],
  ];
  for (const command of commands) {
    const { code, out, err } = await cli.home.hover(...command, "--help");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^Usage: hover/);
  }
});

function host(): Host {
  const amount = (cpus: number, memory: bigint, disk: bigint) => ({ cpus, memoryMb: memory, diskMb: disk });
  return {
    ...{ number: 1, name: "ord-1", region: "ord", zone: "ord-a", address: "127.0.0.1:7100", attached: true },
    ...{ attachTime: new Date(), lastSeenTime: new Date(), vmm: "qemu 7.2", acceleration: "emulation" },
    ...{ isolation: "development", vmmReason: "no /dev/kvm", statusMessage: "" },
    ...{
      scheduling: Scheduling.OPEN,
      labels: new Map<string, string>(),
      warmVms: 0,
      backoffUntilTime: undefined,
    },
    capacity: amount(8, 4096n, 10_240n),
    held: amount(1, 256n, 0n),
    allocated: amount(2, 512n, 1_024n),
    running: amount(1, 256n, 0n),
    machines: new Map([
      ["started", 1],
      ["stopped", 2],
    ]),
  };
}
