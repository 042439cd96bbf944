import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostServiceClient } from "../../src/gen/windhover/hostd/v1/hostd.ts";
import { ListMachinesRequest, WaitMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { RegistriesServiceClient } from "../../src/gen/windhover/machines/v1/registries.ts";
import { mintToken } from "../../src/lib/auth/auth.ts";
import { Fault } from "../../src/lib/faults/fault.ts";
import { call, connect } from "../../src/lib/grpc/client.ts";
import { Canaries, type Finding, searchFleet } from "../support/canary.ts";
import { changeCalls } from "../support/change-calls.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../support/clients.ts";
import { basic, buildImage, FakeRegistry } from "../support/oci/index.ts";
import { openWorld, type World } from "./world/world.ts";

const SOON = { timeout: 60_000, interval: 200 };
const LIMIT = { timeoutMs: 30_000 };

/** Where secrets are kept: the database, keys and the user's token. A host keeps them encrypted. */
const KEPT = /^(?:postgres\/|keys\/|token$)/;
/** A host keeps its leases in clear, in a file of its own user: their nonces are worth an hour at most. */
const LEASES = /^nonce (?:\(\w+\) )?in hosts\/\d+\/hostd\/state\.db/;

// One story: each test searches what all before it have left.
describe("no secret lies about", { shuffle: false }, () => {
  let world: World;
  let registry: FakeRegistry;
  let canaries: Canaries;
  let config: ReturnType<typeof configOf>;
  let password: string;
  const machines: Machine[] = [];
  const errors: unknown[] = [];

  beforeAll(async () => {
    // Children inherit it; a service must not rely on a limit that somebody else has set.
    execFileSync("prlimit", ["--core=unlimited", "--pid", String(process.pid)]);
    world = await openWorld(2, { LOG_LEVEL: "debug" });
    registry = await FakeRegistry.start();
    canaries = new Canaries();
    canaries.add("token", world.fleet.token);
    canaries.add("signing key", readFileSync(world.fleet.signingKeyFile, "utf8"));
    password = canaries.secret("password");
    config = configOf(world.image, {
      env: { DB_PASSWORD: canaries.secret("env") },
      init: { exec: ["sim-log", "2", `--password=${canaries.secret("argument")}`] },
      files: [{ guestPath: "/etc/app.key", content: Buffer.from(canaries.secret("file")), mode: 0o600 }],
      extra: { containers: [{ env: { DB_PASSWORD: canaries.secret("extra") } }] },
    });
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await world?.close();
  });

  const create = (fields: Partial<Parameters<Clients["create"]>[0]> = {}): Promise<Machine> =>
    world.clients.create({ app: world.app, config, ...fields });

  /** Runs what must fail, and keeps what its caller is told. */
  const fails = async (work: Promise<unknown>): Promise<Fault> => {
    const error = await work.then(
      () => undefined,
      (err: unknown) => err,
    );
    errors.push(error);
    if (!(error instanceof Fault) || error.code === "RESOURCE_EXHAUSTED")
      throw new Error(`it did not fail as it must: ${inspect(error)}`);
    return error;
  };

  const findings = async (): Promise<readonly Finding[]> => [
    ...(await searchFleet(world.fleet, canaries, (file) => KEPT.test(file))).filter(
      (finding) => !LEASES.test(finding),
    ),
    ...errors.flatMap((error) => canaries.search("what a caller was told", inspect(error, { depth: 9 }))),
  ];

  it("after machines were created, started, read and stopped", async () => {
    machines.push(await create(), await create({ skipLaunch: true }));
    const [first = "", second = ""] = machines.map(({ id }) => id);
    await world.clients.start(second);
    expect((await world.clients.get(first)).config?.env.size).toBe(1);
    await world.clients.logs(first);
    await world.clients.stop(first);

    expect(await findings()).toEqual([]);
  });

  it("after machines were leased, updated and labelled", async () => {
    const { id } = await create({ skipLaunch: true });
    const changes = changeCalls(world.clients.raw);
    const { lease } = await changes.acquire(id);
    const leaseNonce = lease?.nonce ?? "";
    canaries.add("nonce", leaseNonce);
    const env = new Map([["DB_PASSWORD", canaries.secret("update")]]);
    const next = { ...config, env };
    expect((await fails(changes.update(id, next))).reason).toBe("LEASE_HELD");
    expect((await fails(changes.update(id, next, { leaseNonce: `${leaseNonce}0` }))).reason).toBe(
      "LEASE_HELD",
    );
    const wrong = { ...next, schedule: "never", dns: undefined };
    expect((await fails(changes.update(id, wrong, { leaseNonce }))).reason).toBe("INVALID_FIELDS");
    await changes.update(id, next, { leaseNonce, launch: true });
    await changes.restart(id, { leaseNonce });
    await changes.metadata(id, { note: "public" });
    expect((await world.clients.get(id)).lease?.nonce).toBe("");
    await changes.stop(id, leaseNonce);

    expect(await findings()).toEqual([]);
    const kept = await world.sql("select snapshot::text from machines");
    expect(JSON.stringify(kept)).not.toContain(leaseNonce);
  });

  it("in lists, of users and of services", async () => {
    const list = ListMachinesRequest.fromPartial({});
    const { machines: raw } = world.clients.raw;
    const key = readFileSync(world.fleet.signingKeyFile, "utf8");
    const internal = await mintToken(key, { subject: "api", org: "", scopes: ["internal"] }, 60);
    const host = connect(HostServiceClient, world.fleet.hosts[0]?.hostd ?? "", { token: () => internal });
    const lists = {
      machines: await call(raw, raw.listMachines, list, LIMIT),
      hosts: await world.clients.hosts(),
      reservations: await world.clients.reservations(),
    };
    host.close();

    expect(lists.machines.machines.length).toBeGreaterThan(1);
    expect(canaries.search("a list", inspect(lists, { depth: 12 }))).toEqual([]);
  });

  it("after creates and starts that failed", async () => {
    const env = config.env;
    const bad = { ...config, image: `${world.fleet.registry}/system/none:1` };
    expect((await fails(create({ config: bad }))).reason).toBe("IMAGE_NOT_FOUND");
    await fails(create({ config: { ...config, image: "127.0.0.1:1/away:1" } }));
    await fails(create({ config: { ...config, image: "no such image" } }));
    await fails(create({ config: { ...config, image: `user:${password}@127.0.0.1:1/away:1` } }));
    await fails(create({ config: { ...config, image: `https://user:${password}@127.0.0.1:1/away:1` } }));
    await fails(
      create({ config: { ...config, env: new Map([...env, ["1X", canaries.secret("bad")], ["B", "\0"]]) } }),
    );
    await fails(
      create({ config: { ...config, env: new Map([["BIG", canaries.secret("big").repeat(5_000)]]) } }),
    );
    await fails(create({ app: "none" }));
    const init = { ...configOf("", { init: config.init ?? {} }).init, exec: [...(config.init?.exec ?? [])] };
    for (const words of [["sim-exec-fail", "not_found"], ["sim-vmm-fail"]]) {
      const { id } = await create({
        skipLaunch: true,
        config: configOf(world.image, {
          env: Object.fromEntries(env),
          init: { exec: [`/bin/tool --password=${canaries.secret("program")}`, ...init.exec, ...words] },
        }),
      });
      await fails(world.clients.start(id));
      machines.push(await world.clients.get(id));
      const events = (await world.clients.get(id)).events;
      expect(canaries.search("an event", inspect(events, { depth: 9 }))).toEqual([]);
    }

    expect(await findings()).toEqual([]);
  });

  it("after wrong tokens of every kind", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const grant = { subject: "mallory", org: "personal", scopes: ["machines:read"] as const };
    const tokens = {
      "a bare word": canaries.secret("word"),
      "three parts": `${canaries.secret("head")}.${canaries.secret("body")}.${canaries.secret("tail")}`,
      "another key's": await mintToken(pem, grant, 60),
      "another key's, of a service": await mintToken(pem, { ...grant, org: "", scopes: ["internal"] }, 60),
      expired: await mintToken(readFileSync(world.fleet.signingKeyFile, "utf8"), grant, -60),
      "with spaces": `${canaries.secret("spaces")} and more`,
    };
    const wait = WaitMachineRequest.fromPartial({ machineId: machines[0]?.id ?? "" });
    for (const [what, token] of Object.entries(tokens)) {
      canaries.add(what, token);
      const client = clientsOf(world.fleet.api, token);
      expect((await fails(client.get(machines[0]?.id ?? ""))).code).toBe("UNAUTHENTICATED");
      await fails(call(client.raw.machines, client.raw.machines.waitMachine, wait, LIMIT));
      client.close();
      const traces = { headers: { authorization: `Bearer ${token}` } };
      errors.push(await (await fetch(`${world.fleet.traces}/api/traces`, traces)).text());
    }

    expect(await findings()).toEqual([]);
  });

  it("after pulls with passwords: taken, refused, echoed, redirected", async () => {
    const image = buildImage({ layers: [[{ path: "a", content: "a" }]], config: { Cmd: ["sim-run"] } });
    const { host } = registry;
    registry.add("mine/app", "1", image);
    registry.auth = { kind: "token", user: "kestrel", password, tokens: [canaries.secret("pulltoken")] };
    const registries = connect(RegistriesServiceClient, world.fleet.api, { token: () => world.fleet.token });
    const login = (secret: string, skipCheck = false) =>
      call(
        registries,
        registries.setRegistryCredentials,
        {
          registry: host,
          skipCheck,
          credentials: { username: "kestrel", password: secret, identityToken: "", registryToken: "" },
        },
        LIMIT,
      );
    await fails(login(canaries.secret("wrong")));
    await login(password);
    const list = await call(
      registries,
      registries.listRegistryCredentials,
      { pageSize: 0, pageToken: "" },
      LIMIT,
    );
    expect(canaries.search("the list of registries", inspect(list, { depth: 9 }))).toEqual([]);
    const reference = { ...config, image: `${host}/mine/app:1` };
    machines.push(await create({ config: reference }));
    expect(
      registry.requests.some(({ headers }) => headers["authorization"] === basic("kestrel", password)),
    ).toBe(true);

    // What came with a request comes back in the answer.
    for (const status of [401, 403, 404, 500]) {
      registry.script = ({ headers }) => ({
        status,
        body: JSON.stringify({ errors: [{ code: "DENIED", message: `got ${headers["authorization"]}` }] }),
        headers: {
          "www-authenticate": `Bearer realm="http://x:${password}@${host}/token",error="${password}"`,
        },
      });
      await fails(create({ config: { ...reference, image: `${host}/mine/new-${status}:1` } }));
    }
    registry.script = () => ({ redirect: `http://kestrel:${password}@127.0.0.1:1/{path}?token=${password}` });
    await fails(create({ config: { ...reference, image: `${host}/mine/elsewhere:1` } }));
    registry.script = () => undefined;
    await login(canaries.secret("stale"), true);
    await fails(create({ config: { ...reference, image: `${host}/mine/private:1` } }));
    registries.close();

    expect(await findings()).toEqual([]);
  });

  it("after kill -9 of every service in the middle of its work", async () => {
    const { fleet } = world;
    const creating = Array.from({ length: 4 }, (_, n) =>
      create({ requestId: `canary-${n}`, skipLaunch: n % 2 === 0 }).catch((err: unknown) => errors.push(err)),
    );
    await fleet.crash("hostd-1", "imagecache-1", "api", "scheduler", "hostd-2");
    await Promise.all(creating);
    await expect
      .poll(async () => (await world.clients.hosts()).filter((host) => host.attached).length, SOON)
      .toBe(2);
    for (const { id } of machines)
      await world.clients.destroy(id, true).catch((err: unknown) => errors.push(err));

    expect(await findings()).toEqual([]);
  });

  it("in core files: no service writes one", async () => {
    const limits = world.fleet.parts
      .filter(({ name }) => /^(?:api|scheduler|hostd|imagecache|traces)/.test(name))
      .map(({ name, process: { pid } = { pid: 0 } }) => {
        const [, soft, hard] =
          /core file size +(\S+) +(\S+)/.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? [];
        return `${name}: ${soft} ${hard}`;
      });

    expect(limits.length).toBeGreaterThan(5);
    expect(limits.filter((limit) => !limit.endsWith(": 0 0"))).toEqual([]);
  });
});
