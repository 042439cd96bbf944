import { createPublicKey } from "node:crypto";
import { glob } from "node:fs/promises";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RULES } from "../../../../src/api/service-rules.ts";
import { SERVICES } from "../../../../src/api/wiring-services.ts";
import { mintToken } from "../../../../src/lib/auth/auth.ts";
import { biscuits } from "../../../../src/lib/auth/biscuit/user-token.ts";
import { SCOPES, type Scope } from "../../../../src/lib/auth/claims.ts";
import { publicBytes } from "../../../../src/lib/auth/keys.ts";
import type { RpcRule } from "../../../../src/lib/auth/rpc-rules.ts";
import { tokenMetadata } from "../../../../src/lib/auth/tokens.ts";
import { fromServiceError } from "../../../../src/lib/grpc/status.ts";
import { KEYS, token } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";

const GEN = new URL("../../../../src/gen/windhover/", import.meta.url);
/** Longer than the 5 s for which a create that there is not is waited for. */
const LIMIT_MS = 20_000;

interface Codec {
  fromPartial(value: object): object;
}

interface Method {
  readonly path: string;
  readonly rule: RpcRule;
  readonly definition: grpc.MethodDefinition<object, object>;
  readonly request: Codec;
}

/** Every method of every service of an api, as generated. */
const METHODS: Method[] = [];
for await (const file of glob("**/*.ts", { cwd: GEN.pathname })) {
  const module: Record<string, unknown> = await import(new URL(file, GEN).href);
  for (const [name, service] of Object.entries(module).filter(([name]) => name.endsWith("ServiceService"))) {
    for (const definition of Object.values(service as grpc.ServiceDefinition)) {
      const [, serviceName = ""] = definition.path.split("/");
      if (!SERVICES.includes(serviceName)) continue;
      const rule = RULES.get(definition.path);
      if (!rule) throw new Error(`${name} has a method without a rule`);
      const request = module[`${definition.path.split("/").at(-1)}Request`] as Codec;
      METHODS.push({ path: definition.path, rule, definition, request });
    }
  }
}

/** What requests need besides their object to be looked at. */
const FIELDS: Readonly<Record<string, object>> = {
  CreateMachine: { config: { image: "nginx" } },
  UpdateMachine: { config: { image: "nginx" } },
  SignalMachine: { signal: "SIGHUP" },
  UpdateMetadata: { set: new Map([["a", "1"]]) },
  ReleaseLease: { nonce: "x" },
  AddHostname: { hostname: "www.example.com" },
  RemoveHostname: { hostname: "www.example.com" },
  RunCommand: { command: ["true"] },
  ExecMachine: {
    message: { $case: "start", start: { command: ["true"] } },
  },
};

/** What is not there, for another organisation, by the kind of object. */
const NOT_FOUND: Readonly<Record<string, string>> = {
  machine: "MACHINE_NOT_FOUND",
  app: "APP_NOT_FOUND",
  create: "CREATE_NOT_FOUND",
};

/**
 * Calls of users about no object that could be another organisation's: they read or change what the
 * token's own has. A new one is added here only after a look at what it can name.
 */
const OF_OWN_ORG = [
  // Names taken by others are said to be taken.
  "AppsService/CreateApp",
  "AppsService/ListApps",
  // Each of its steps is a call that is walked here.
  "AcquireService/AcquireMachine",
  "PlatformService/ListRegions",
  "PlatformService/EstimatePlacements",
  "PlatformService/GetCaller",
  "RegistriesService/SetRegistryCredentials",
  "RegistriesService/DeleteRegistryCredentials",
  "RegistriesService/ListRegistryCredentials",
  "TokensService/ListTokenKeys",
  // Has nothing to say of another organisation.
  "AuditService/ReadAudit",
];

let world: World;
let api: TestApi;
let machineId: string;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
  machineId = (await api.user.create({ requestId: "mine", skipLaunch: false })).machine?.id ?? "";
});
afterAll(() => world.close());

describe("every RPC of the api", () => {
  test("is refused without a token, before anything else is looked at", async () => {
    expect(METHODS.length).toBeGreaterThan(50);
    expect(await answersOf(METHODS, () => new grpc.Metadata())).toEqual(
      allWith(METHODS, "UNAUTHENTICATED / TOKEN_MISSING"),
    );
  });

  test.each(SCOPES)("is refused to a token with the scope %s only, unless it is enough", async (scope) => {
    const metadata = tokenMetadata(await mint(scope));
    const others = METHODS.filter(({ rule }) => !rule.scopes.includes(scope));

    expect(others.length).toBeGreaterThan(20);
    expect(await answersOf(others, () => metadata)).toEqual(
      allWith(others, "PERMISSION_DENIED / SCOPE_MISSING"),
    );
  });

  test("is refused to a token that its holder has restricted to another action", async () => {
    const other = tokenMetadata(await attenuated('check if action("telemetry:none")'));

    expect(await answersOf(METHODS, () => other)).toEqual(
      allWith(METHODS, "PERMISSION_DENIED / TOKEN_RESTRICTED"),
    );
  });

  test("is let through to a token that its holder has restricted to its action", async () => {
    const tokens = new Map<string, grpc.Metadata>();
    for (const { path, rule } of METHODS)
      tokens.set(path, tokenMetadata(await attenuated(`check if action("${rule.action}")`)));
    // Whatever the handler makes of an empty request.
    const streams = ["/WatchRevocations", "/WatchRoutes", "/WatchMachines", "/ReadAudit"];
    const asked = METHODS.filter(({ path }) => !streams.some((end) => path.endsWith(end)));
    const answers = await answersOf(asked, ({ path }) => tokens.get(path) ?? new grpc.Metadata());

    const refused = Object.entries(answers).filter(([, answer]) => /PERMISSION|UNAUTHENTICATED/.test(answer));
    // The tokens that a restricted one could make would not be restricted.
    const path = "/windhover.admin.v1.OrganizationsService/CreateToken";
    expect(refused).toEqual([[path, "PERMISSION_DENIED / TOKEN_RESTRICTED"]]);
  });

  const users = METHODS.filter(({ rule }) => rule.scopes.some((scope) => scope.startsWith("machines:")));
  const about = users.filter(({ path }) => !OF_OWN_ORG.includes(nameOf(path)));

  test("that users may call is about an object that has an owner, or is known to be about none", () => {
    const owned = about.filter(({ rule }) => rule.object !== undefined && (rule.kind ?? "") in NOT_FOUND);
    expect(about.map(({ path }) => path)).toEqual(owned.map(({ path }) => path));
    expect(OF_OWN_ORG.filter((name) => !users.some(({ path }) => nameOf(path) === name))).toEqual([]);
  });

  test.each(["machines:read", "machines:write"] as const)(
    "with %s about an object of another organisation says that there is none",
    async (scope) => {
      const acme = tokenMetadata(await token("acme", [scope]));
      const asked = about.filter(({ rule }) => rule.scopes.includes(scope));
      const objects: Readonly<Record<string, string>> = { machine: machineId, app: "web", create: "mine" };

      const answers = await answersOf(
        asked,
        () => acme,
        ({ path, rule }) => ({
          ...FIELDS[path.split("/").at(-1) ?? ""],
          [rule.object ?? ""]: objects[rule.kind ?? ""],
        }),
      );

      expect(asked.length).toBeGreaterThan(8);
      const built = asked.filter(({ path }) => answers[path] !== "UNIMPLEMENTED / NOT_BUILT_YET");
      const expected = built.map(({ path, rule }) => [path, `NOT_FOUND / ${NOT_FOUND[rule.kind ?? ""]}`]);
      expect(answers).toMatchObject(Object.fromEntries(expected));
      expect((await api.user.get(machineId))?.events.map(({ type }) => type)).toEqual(["start"]);
    },
    60_000,
  );
});

function nameOf(path: string): string {
  return path.split(".").at(-1) ?? "";
}

function mint(scope: Scope): Promise<string> {
  return token(scope === "internal" || scope === "telemetry" ? "" : "personal", [scope]);
}

/** A token with every scope, with a check that its holder has added. */
async function attenuated(code: string): Promise<string> {
  const grant = { subject: "x", org: "personal", scopes: SCOPES };
  const whole = await mintToken(KEYS.privateKey, grant, 60);
  return await biscuits.attenuate(whole, publicBytes(createPublicKey(KEYS.publicKey)), code);
}

function allWith(methods: readonly Method[], answer: string): Record<string, string> {
  return Object.fromEntries(methods.map(({ path }) => [path, answer]));
}

/** Calls methods at once; returns the answer of each, by its path. @param fieldsOf of its request; default: an empty one */
async function answersOf(
  methods: readonly Method[],
  metadataOf: (method: Method) => grpc.Metadata,
  fieldsOf: (method: Method) => object = () => ({}),
): Promise<Record<string, string>> {
  // An api ends a connection from which it has refused too much.
  const options = { "grpc.use_local_subchannel_pool": 1 };
  const client = new grpc.Client(api.address, grpc.credentials.createInsecure(), options);
  const answers = methods.map(async (method) => {
    const answer = await answerOf(client, method, metadataOf(method), fieldsOf(method));
    return [method.path, answer] as const;
  });
  const all = Object.fromEntries(await Promise.all(answers));
  client.close();
  return all;
}

function answerOf(
  client: grpc.Client,
  method: Method,
  metadata: grpc.Metadata,
  fields: object,
): Promise<string> {
  const { path, definition, request } = method;
  const stream = client.makeServerStreamRequest(
    path,
    definition.requestSerialize,
    (bytes: Buffer) => bytes,
    request.fromPartial(fields),
    metadata,
    { deadline: Date.now() + LIMIT_MS },
  );
  stream.resume();
  return new Promise((resolve) => {
    stream.once("end", () => resolve("OK"));
    stream.once("error", (err) => {
      const { code, reason } = fromServiceError(err);
      resolve(`${code} / ${reason}`);
    });
  });
}
