import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Host } from "../../../src/gen/windhover/admin/v1/hosts.ts";
import { Organization, Standing } from "../../../src/gen/windhover/admin/v1/organizations.ts";
import { Token } from "../../../src/gen/windhover/admin/v1/tokens.ts";
import { Lease } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../src/gen/windhover/scheduler/v1/host.ts";
import { useCli } from "./support.ts";

const WIDTH = 80;
const ID = "0000a1b2c3d4e6";
const cli = useCli();

async function linesOf(...args: string[]): Promise<readonly string[]> {
  const { code, out } = await cli.home.onScreen(WIDTH, ...args);
  expect(code).toBe(0);
  return out.trimEnd().split("\n");
}

function tooWide(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => [...line].length > WIDTH);
}

test("tokens fit a screen of 80 columns, with their whole ids", async () => {
  const time = new Date(Date.now() + 29 * 86_400_000);
  const fields = { org: "acme-corporation", subject: "continuous-integration", last4: "a1b2" };
  const times = { createTime: new Date(), expireTime: time, revokeTime: new Date() };
  const scopes = ["machines:read", "machines:write", "admin"];
  cli.api.tokens = [Token.fromPartial({ id: "ab".repeat(12), ...fields, ...times, scopes })];

  const lines = await linesOf("token", "list");

  expect(tooWide(lines)).toEqual([]);
  expect(lines[0]).toMatch(/^ID .*EXPIRES +REVOKED$/);
  expect(lines[1]).toContain("ab".repeat(12));
});

test("organisations fit a screen of 80 columns", async () => {
  const slug = "acme-corporation";
  const quota = { machines: 10_000, memoryMb: 655_360n, imageMb: 2_621_440n };
  const usage = { machinesUsed: 8_765, memoryMbUsed: 123_456n, imageMbUsed: 1_600_000n };
  const fields = { slug, name: "Acme Corporation", standing: Standing.PAST_DUE, createTime: new Date(1e12) };
  cli.api.orgs.set(slug, Organization.fromPartial({ ...fields, quota, ...usage }));

  expect(tooWide(await linesOf("org", "show", slug))).toEqual([]);
});

test("keys fit a screen of 80 columns, whole", async () => {
  const dir = join(cli.home.dir, "own-keys");
  mkdirSync(dir);
  await cli.home.within("key", "rotate", "--dir", dir);

  const lines = await linesOf("key", "list", "--dir", dir);

  expect(tooWide(lines)).toEqual([]);
  expect(lines[1]).toMatch(/[0-9a-f]{64}$/);
});

test("hosts fit a screen of 80 columns", async () => {
  const amount = (cpus: number, memoryMb: bigint) => ({ cpus, memoryMb, diskMb: 2_000_000n });
  cli.api.hosts = [
    Host.fromPartial({
      ...{ number: 12, name: "ord-rack-12-host-7", region: "ord", zone: "ord-a", attached: true },
      ...{ attachTime: new Date(), scheduling: Scheduling.DRAINING, warmVms: 64, isolation: "development" },
      ...{ capacity: amount(128, 1_048_576n), allocated: amount(120, 900_000n) },
      ...{ running: amount(100, 800_000n), held: amount(2, 512n), vmm: "qemu", acceleration: "kvm" },
      machines: new Map([
        ["started", 120],
        ["stopped", 900],
      ]),
    }),
  ];

  expect(tooWide(await linesOf("host", "list"))).toEqual([]);
});

test("leases fit a screen of 80 columns, with their whole nonces", async () => {
  cli.api.add({ id: ID });
  const nonce = "0123456789abcdef".repeat(2);
  const fields = { owner: "continuous-integration", description: "the backup of every night", nonce };
  cli.api.leases.set(ID, Lease.fromPartial({ ...fields, expireTime: new Date(Date.now() + 60_000) }));

  const lines = await linesOf("machine", "leases", "view", ID);

  expect(tooWide(lines)).toEqual([]);
  expect(lines[1]).toContain(nonce);
});
