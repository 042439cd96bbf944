import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Standing } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { TokensServiceClient } from "../../src/gen/windhover/admin/v1/tokens.ts";
import { HostServiceClient } from "../../src/gen/windhover/hostd/v1/hostd.ts";
import { mintToken } from "../../src/lib/auth/auth.ts";
import { keyIdOf } from "../../src/lib/auth/biscuit/biscuit-wire.ts";
import { removeKey, rotateKeys } from "../../src/lib/auth/rotate-keys.ts";
import { call, connect } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf } from "../support/clients.ts";
import { openWorld, type World } from "./world/world.ts";

const LIMIT = { timeoutMs: 20_000 };
const SOON = { timeout: 60_000, interval: 100 };

// One story: each test goes on where the one before it ended.
describe("tokens of a running fleet", { shuffle: false }, () => {
  let world: World;
  let admin: Clients;
  let machineId: string;

  beforeAll(async () => {
    world = await openWorld(1);
    admin = world.clients;
    machineId = (await admin.create({ app: world.app, skipLaunch: true, config: configOf(world.image) })).id;
  });
  afterAll(() => world?.close());

  it("are made, listed and revoked with hover, and its audit log says by whom", async () => {
    const { token, id } = await hover("token", "create", "-o", "personal", "--subject", "ci");
    const holder = clientsOf(world.fleet.api, token);
    await holder.get(machineId);
    const { token: less } = await hoverAs(token, "token", "attenuate", "--action", "machines:read");
    const reader = clientsOf(world.fleet.api, less);
    await reader.get(machineId);

    expect(await reasonOf(reader.start(machineId))).toBe("TOKEN_RESTRICTED");
    expect(await hover("token", "list")).toMatchObject([{ id, subject: "ci", creator: "developer" }]);
    await hover("token", "revoke", id);
    expect(await reasonOf(reader.get(machineId))).toBe("TOKEN_REVOKED");
    await expect.poll(() => auditOf("--object", machineId), SOON).toContain("TOKEN_RESTRICTED");
    await expect.poll(() => auditOf("--subject", "developer"), SOON).toMatch(/"action":"tokens:revoke"/);
    for (const each of [holder, reader]) each.close();
  });

  it("are signed with a new key, and the old one is removed, without a failed call", async () => {
    const { keysDir } = world.fleet.layout;
    const first = startTraffic(await newToken());
    await expect.poll(() => first.calls, SOON).toBeGreaterThan(20);

    await rotateKeys(keysDir);
    await expect.poll(async () => keyIdOf(await newToken()), SOON).toBe(2);
    const later = startTraffic(await newToken());
    expect(await first.end()).toEqual([]);

    // Refused until every service has begun to sign with the new one.
    await expect.poll(() => remove(keysDir), SOON).toBe("removed");
    await expect.poll(() => reasonOf(admin.get(machineId)), SOON).toBe("TOKEN_INVALID");
    const sofar = later.calls;
    await expect.poll(() => later.calls, SOON).toBeGreaterThan(sofar + 50);

    expect(await later.end()).toEqual([]);
    admin = clientsOf(
      world.fleet.api,
      await signed("personal", ["admin", "machines:read", "machines:write"]),
    );
  });

  it("are refused soon after they are revoked, also without Postgres and after a restart", async () => {
    const { token, id } = await createToken("personal");
    const holder = clientsOf(world.fleet.api, token);
    const other = clientsOf(world.fleet.api, await signed("personal", ["machines:read", "machines:write"]));
    await holder.start(machineId);

    await revoke(id);
    await world.fleet.stop("postgres");
    expect(await reasonOf(holder.stop(machineId))).toBe("TOKEN_REVOKED");
    await expect.poll(() => revokedAtHost(), SOON).toContain(id);
    await world.fleet.restart("api");

    expect(await reasonOf(holder.stop(machineId))).toBe("TOKEN_REVOKED");
    await other.stop(machineId);
    await world.fleet.start("postgres");
    for (const each of [holder, other]) each.close();
  });

  it("of a banned organisation start nothing, at its host either, whatever is down or restarts", async () => {
    const { orgs } = admin.raw;
    const done = (work: Promise<unknown>) => work.then(() => "done", String);
    const change = (standing: Standing) =>
      call(
        orgs,
        orgs.updateOrganization,
        { slug: "personal", standing, quota: undefined, limits: undefined },
        LIMIT,
      );
    await expect.poll(() => done(change(Standing.BANNED)), SOON).toBe("done");
    const holder = clientsOf(world.fleet.api, await signed("personal", ["machines:read", "machines:write"]));

    expect(await reasonOf(holder.start(machineId))).toBe("ORG_BANNED");
    await expect.poll(() => reasonOf(startAtHost("personal")), SOON).toBe("ORG_BANNED");
    await world.fleet.stop("postgres");
    await world.fleet.restart("api", "hostd-1");

    expect(await reasonOf(holder.start(machineId))).toBe("ORG_BANNED");
    expect(await reasonOf(startAtHost("personal"))).toBe("ORG_BANNED");
    // Both have just restarted.
    await expect.poll(() => done(holder.get(machineId)), SOON).toBe("done");
    await world.fleet.start("postgres");
    await expect.poll(() => done(change(Standing.GOOD)), SOON).toBe("done");
    // The host hears of it a little later.
    await expect.poll(() => done(holder.start(machineId)), SOON).toBe("done");
    await holder.destroy(machineId, true);
    holder.close();
  });

  /** Runs hover in the fleet's folder. Returns its JSON. */
  async function hover(...args: string[]) {
    return JSON.parse(await runHover({}, ...args, "--json"));
  }

  async function hoverAs(token: string, ...args: string[]) {
    return JSON.parse(await runHover({ WINDHOVER_TOKEN: token }, ...args, "--json"));
  }

  function auditOf(...filters: string[]): Promise<string> {
    return runHover({}, "audit", ...filters, "--json");
  }

  async function runHover(env: Record<string, string>, ...args: string[]): Promise<string> {
    const main = join(import.meta.dirname, "../../src/cli/main.ts");
    const home = { PATH: process.env["PATH"], WINDHOVER_DIR: world.fleet.folder };
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...args], {
      env: { ...home, ...env },
    });
    return stdout;
  }

  /** Reads, creates, starts, stops and destroys, again and again. */
  function startTraffic(token: string) {
    const user = clientsOf(world.fleet.api, token);
    const failures: string[] = [];
    const traffic = { calls: 0, isOver: false };
    const loop = async () => {
      while (!traffic.isOver) {
        const round = async () => {
          await user.list(world.app);
          await user.get(machineId);
          await user.logs(machineId);
        };
        await round().catch((err: unknown) => failures.push(String(err)));
        traffic.calls += 3;
      }
    };
    const creates = async () => {
      while (!traffic.isOver) {
        const config = configOf(world.image);
        const round = async () => {
          const { id } = await user.create({ app: world.app, config });
          await user.stop(id);
          await user.destroy(id);
        };
        await round().catch((err: unknown) => failures.push(String(err)));
        traffic.calls += 3;
      }
    };
    const running = Promise.all([loop(), loop(), creates()]);
    return {
      get calls() {
        return traffic.calls;
      },
      async end(): Promise<readonly string[]> {
        traffic.isOver = true;
        await running;
        user.close();
        return failures;
      },
    };
  }

  async function createToken(org: string) {
    const { orgs } = admin.raw;
    const scopes = ["machines:read", "machines:write"];
    return await call(orgs, orgs.createToken, { org, scopes, ttlSeconds: 3_600n, subject: "ci" }, LIMIT);
  }

  async function newToken(): Promise<string> {
    return (await createToken("personal")).token;
  }

  async function revoke(id: string): Promise<void> {
    const client = connect(TokensServiceClient, world.fleet.api, {
      token: () => signed("personal", ["admin"]),
    });
    await call(client, client.revokeToken, { id }, LIMIT);
    client.close();
  }

  /** Signs a token with the newest key. */
  function signed(org: string, scopes: Parameters<typeof mintToken>[1]["scopes"]): Promise<string> {
    return mintToken(world.fleet.signingKey, { subject: "test", org, scopes }, 3_600);
  }

  function internalToken(): Promise<string> {
    return signed("", ["internal"]);
  }

  async function startAtHost(org: string): Promise<unknown> {
    const address = world.fleet.hosts[0]?.hostd ?? "";
    const client = connect(HostServiceClient, address, { token: internalToken });
    try {
      return await call(
        client,
        client.startMachine,
        { leaseNonce: "", machineId, org, watch: undefined, source: "", fromProxy: false },
        LIMIT,
      );
    } finally {
      client.close();
    }
  }

  function revokedAtHost(): string {
    return readFileSync(join(world.fleet.layout.ofHost(1, "hostd"), "revocations.json"), "utf8");
  }
});

function remove(keysDir: string): string {
  try {
    removeKey(keysDir, 1);
    return "removed";
  } catch (err) {
    return String(err);
  }
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (err: { reason?: string }) => err.reason ?? String(err),
  );
}
