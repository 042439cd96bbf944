import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SetRegistryCredentialsRequest } from "../../../../src/gen/windhover/machines/v1/registries.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { passwordCredentials } from "../../../../src/lib/oci/auth/credentials.ts";
import { SealingKeys } from "../../../../src/lib/sealing/sealing-keys.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const CANARY = "canary-7f3a91";
const FLEET = passwordCredentials("fleet", "f");
const KEYS = new SealingKeys([Buffer.alloc(32, 1)]);

let world: World;
let api: TestApi;
let other: Clients;
let refuses = false;

beforeAll(async () => {
  world = await World.open();
  api = await world.api({
    sealingKeys: KEYS,
    fleetCredentials: async (org, registry) =>
      org === "other" && registry === "docker.io" ? FLEET : undefined,
    checkLogin: async () => {
      if (refuses) throw new Fault("PERMISSION_DENIED", "REGISTRY_UNAUTHORIZED", "no");
      return true;
    },
  });
  await world.sql("insert into organizations values ('other', 'Other', 'good', 100, 65536)");
  other = await api.as("other", ["machines:read", "machines:write"]);
  await api.user.createApp("web");
  await other.createApp("elsewhere");
});
afterAll(async () => {
  other?.close();
  await world?.close();
});
beforeEach(async () => {
  refuses = false;
  await world.clear();
  for (const who of [api.user, other])
    for (const { registry } of await list(who)) await remove(registry, who);
});

describe("credentials", () => {
  test("are stored encrypted, listed without their secret, replaced and removed", async () => {
    const { login, isChecked } = await set("https://GHCR.io/v2/", { username: "kestrel", password: CANARY });
    expect(login).toMatchObject({ registry: "ghcr.io", username: "kestrel" });
    expect(isChecked).toBe(true);
    await set("ghcr.io", { identityToken: CANARY });
    await set("registry.example:5000/team", { registryToken: CANARY });

    const [rows, logins] = [await world.sql("select * from registry_logins"), await list()];

    expect(logins.map(({ registry, username, kind }) => [registry, username, kind])).toEqual([
      ["ghcr.io", "", 2],
      ["registry.example:5000/team", "", 3],
    ]);
    expect(rows).toHaveLength(2);
    const texts = rows.flatMap((row) =>
      Object.values(row).map((value) => Buffer.from(value as Buffer).toString()),
    );
    expect(texts.join()).not.toContain(CANARY);
    await remove("ghcr.io");
    expect((await list()).map(({ registry }) => registry)).toEqual(["registry.example:5000/team"]);
  });

  test("of one organisation are no other's", async () => {
    await set("ghcr.io", { username: "kestrel", password: CANARY });

    expect(await list(other)).toEqual([]);
    expect(await faultOf(remove("ghcr.io", other))).toMatchObject({ reason: "REGISTRY_NOT_FOUND" });
  });

  test("go to the host with the pull: the longest name's, and at once after a change", async () => {
    const pulledWith = async () => {
      const { machine } = await api.user.create({ config: { image: "docker.io/library/nginx" } });
      const host = world.host(Number.parseInt(machine?.id.slice(0, 5) ?? "", 16));
      return host.credentials?.password;
    };

    expect(await pulledWith()).toBeUndefined();
    await set("docker.io", { username: "all", password: "1" });
    await set("index.docker.io/library", { username: "some", password: "2" });
    await set("docker.io/library/nginx-unit", { username: "none", password: "3" });
    expect(await pulledWith()).toBe("2");
    await remove("docker.io/library");
    expect(await pulledWith()).toBe("1");
  });

  test("of the fleet are used for those who may, when they have none of their own", async () => {
    const create = () => other.create({ app: "elsewhere", config: { image: "nginx" } });

    await create();
    expect(world.host(1).credentials?.username).toBe("fleet");
    await set("docker.io", { username: "own", password: "o" }, other);
    await create();
    expect(world.host(1).credentials?.username).toBe("own");
    await api.user.create();
    expect(world.host(1).credentials).toBeUndefined();
  });

  test("that the registry refuses are not stored, unless they are not to be checked", async () => {
    refuses = true;

    const fault = await faultOf(set("ghcr.io", { username: "kestrel", password: CANARY }));

    expect(fault.reason).toBe("REGISTRY_UNAUTHORIZED");
    expect(await list()).toEqual([]);
    const skipped = { registry: "ghcr.io", credentials: passwordCredentials("k", CANARY), skipCheck: true };
    const { registries } = api.user;
    const stored = await call(registries, registries.setRegistryCredentials, skipped, LIMIT);
    expect(stored).toMatchObject({ isChecked: false, login: { registry: "ghcr.io" } });
  });

  test.each([
    ["", { username: "k", password: CANARY }, ["registry"]],
    ["not a registry", { username: "k", password: CANARY }, ["registry"]],
    ["nginx", { username: "k", password: CANARY }, ["registry"]],
    ["ghcr.io", {}, ["credentials"]],
    ["ghcr.io", { username: `k:${CANARY}`, password: "p" }, ["credentials.username"]],
    ["ghcr.io", { username: "k" }, ["credentials.password"]],
    ["ghcr.io", { username: "k", password: CANARY, identityToken: CANARY }, ["credentials"]],
    ["ghcr.io", { registryToken: `${CANARY}\r\nx: y` }, ["credentials.registry_token"]],
    ["ghcr.io", { identityToken: CANARY.repeat(2000) }, ["credentials.identity_token"]],
  ])(
    "for %j that cannot be used are refused, without repeating them (%#)",
    async (registry, given, fields) => {
      const fault = await faultOf(set(registry, given));

      expect(fault).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
      expect(fault.violations.map(({ field }) => field)).toEqual(fields);
      expect(JSON.stringify([fault.message, fault.violations, fault.facts])).not.toContain(CANARY);
    },
  );

  test("are bounded in number", async () => {
    for (let i = 0; i < 100; i++) await set(`r${i}.example`, { registryToken: "t" });

    expect(await faultOf(set("one-more.example", { registryToken: "t" }))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_REGISTRIES",
    });
    await set("r0.example", { registryToken: "another" });
    expect(await list()).toHaveLength(100);
  });

  test("cannot be stored without a key, and not be read with another", async () => {
    const keyless = await world.api({ knowsHosts: false });
    const another = await world.api({
      knowsHosts: false,
      sealingKeys: new SealingKeys([Buffer.alloc(32, 2)]),
    });
    await set("ghcr.io", { registryToken: CANARY });

    expect(await faultOf(set("a.example", { registryToken: "t" }, keyless.user))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "SEALING_KEY_MISSING",
    });
    expect(await faultOf(list(another.user))).toMatchObject({ reason: "SEALED_VALUE_UNREADABLE" });
  });

  test("can be listed by those who may read, and changed by those who may write", async () => {
    const reader = await api.as("personal", ["machines:read"]);

    expect(await list(reader)).toEqual([]);
    const refused = [set("ghcr.io", { registryToken: "t" }, reader), remove("ghcr.io", reader)];
    for (const fault of await Promise.all(refused.map(faultOf)))
      expect(fault).toMatchObject({ reason: "SCOPE_MISSING" });
    reader.close();
  });
});

type Given = Partial<NonNullable<SetRegistryCredentialsRequest["credentials"]>>;

function set(registry: string, credentials: Given, { registries }: Clients = api.user) {
  const request = SetRegistryCredentialsRequest.fromPartial({ registry, credentials });
  return call(registries, registries.setRegistryCredentials, request, LIMIT);
}

async function list({ registries }: Clients = api.user) {
  const page = { pageSize: 0, pageToken: "" };
  return (await call(registries, registries.listRegistryCredentials, page, LIMIT)).logins;
}

function remove(registry: string, { registries }: Clients = api.user) {
  return call(registries, registries.deleteRegistryCredentials, { registry }, LIMIT);
}
