import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { authFile } from "../../../src/lib/oci/auth/auth-file.ts";
import { passwordCredentials } from "../../../src/lib/oci/auth/credentials.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import {
  basic,
  type FakeRegistry,
  pushImage,
  RegistryProcess,
  TEST_HTPASSWD,
  TEST_LOGIN,
} from "../../support/oci/index.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { image, login, RegistryWorld, signal, sourceOf } from "./registry-fixture.ts";

let world: RegistryWorld;
let registry: FakeRegistry;
beforeEach(async () => {
  world = await RegistryWorld.open();
  registry = world.registry;
});
afterEach(() => world.close());

describe("a registry that wants to know who asks", () => {
  test("gets Basic credentials, once asked and then at once", async () => {
    registry.auth = { kind: "basic", user: login.username, password: login.password };

    expect((await world.resolve({}, "x", login)).digest).toBe(image.digest);

    const sent = registry.requests.map((r) => r.headers["authorization"]);
    expect(sent).toEqual([undefined, basic("kestrel", "p:w"), basic("kestrel", "p:w")]);
  });

  test.each([{}, { accessToken: true }])(
    "gets a token from its token server, which names it %j",
    async (more) => {
      registry.auth = { kind: "token", ...more };

      expect((await world.resolve()).digest).toBe(image.digest);

      const asked = registry.requests
        .filter((r) => r.kind === "token")
        .map((r) => new URL(r.url, registry.url).searchParams);
      expect(asked).toHaveLength(1);
      expect(asked[0]?.get("service")).toBe("fake");
      expect(asked[0]?.get("scope")).toBe("repository:x:pull");
    },
  );

  test("is asked again for a token when the call that was asking for it is cancelled", async () => {
    registry.auth = { kind: "token" };
    const never = new Promise<void>(() => undefined);
    registry.script = ({ kind, earlier }) =>
      kind === "token" && earlier === 0 ? { after: never } : undefined;
    const client = world.client();
    const cancel = new AbortController();
    const first = client.resolve(sourceOf(`${registry.host}/x`), cancel.signal);
    first.catch(() => undefined);
    await expect.poll(() => registry.count("token")).toBe(1);
    const second = world.resolve(client);
    cancel.abort(new Error("cancelled"));

    await expect(first).rejects.toThrow("cancelled");
    expect((await second).digest).toBe(image.digest);
  });

  test("gets an identity token in a form, and a registry token as it is", async () => {
    const none = passwordCredentials("", "");
    registry.auth = { kind: "token", identityToken: "refresh" };
    expect((await world.resolve({}, "x", { ...none, identityToken: "refresh" })).digest).toBe(image.digest);
    const wrong = world.resolve({}, "x", { ...none, identityToken: "other" });
    await expect(wrong).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });

    registry.auth = { kind: "token", tokens: ["own"], user: "nobody" };
    expect((await world.resolve({}, "x", { ...none, registryToken: "own" })).digest).toBe(image.digest);
  });

  test("is told apart by organisation: one's token is no other's", async () => {
    const one = world.client();
    registry.auth = { kind: "token", user: login.username, password: login.password, expiresIn: 3600 };
    await world.resolve(one, "x", login);

    await expect(world.resolve(one, "x")).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });
  });

  test("has its tokens used for as long as they last, and one repository's not for another", async () => {
    const clock = new ManualClock();
    registry.auth = { kind: "token", user: login.username, password: login.password, expiresIn: 120 };
    registry.add("y", "latest", image);
    const one = world.client({ clock });

    await world.resolve(one, "x", login);
    await world.resolve(one, "x", login);
    expect(registry.count("token")).toBe(1);
    await world.resolve(one, "y", login);
    expect(registry.count("token")).toBe(2);
    clock.advance(121_000);
    await world.resolve(one, "x", login);
    expect(registry.count("token")).toBe(3);
  });

  test("has a token that it does not take any more replaced", async () => {
    registry.auth = { kind: "token", tokens: ["first"], expiresIn: 3600 };
    const one = world.client();
    await world.resolve(one);
    registry.auth = { kind: "token", tokens: ["second"], expiresIn: 3600 };

    expect((await world.resolve(one)).digest).toBe(image.digest);
  });

  test.each([
    ["asks for Basic and we have nothing", { kind: "basic", user: "a", password: "b" } as const],
    ["has a token server that refuses us", { kind: "token", user: "a", password: "b" } as const],
  ])("%s: says so, and what to do", async (_, auth) => {
    registry.auth = auth;

    const refused = world.resolve();

    await expect(refused).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "REGISTRY_UNAUTHORIZED",
    });
    await expect(refused).rejects.toThrow(`hover registry login ${registry.host}`);
  });

  test("is refused when it names a token server that is not one of the web", async () => {
    registry.auth = { kind: "token", realm: "ftp://127.0.0.1/token" };

    await expect(world.resolve({}, "x", login)).rejects.toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });
    expect(registry.requests.every((r) => r.headers["authorization"] === undefined)).toBe(true);
  });

  test("is a real one, with a login from a file", async () => {
    const folder = temporaryFolder("auth");
    await using real = await RegistryProcess.start({ htpasswd: TEST_HTPASSWD });
    try {
      const authorization = basic(TEST_LOGIN.user, TEST_LOGIN.password);
      await pushImage(real.url, "team/app", "v1", image, { authorization });
      const path = join(folder.path, "auth.json");
      const auth = Buffer.from(`${TEST_LOGIN.user}:${TEST_LOGIN.password}`).toString("base64");
      writeFileSync(
        path,
        JSON.stringify({ auths: { [real.host]: { auth: "" }, [`${real.host}/team`]: { auth } } }),
      );
      const reference = `${real.host}/team/app:v1`;
      const fromFile = () => authFile(path)(real.host, "team/app");

      const found = await world.client().resolve(sourceOf(reference, await fromFile()), signal);

      expect(found.digest).toBe(image.digest);
      const anonymous = world.client().resolve(sourceOf(reference), signal);
      await expect(anonymous).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });
      writeFileSync(path, "{");
      const invalid = { reason: "REGISTRY_AUTH_FILE_INVALID", facts: { path } };
      await expect(fromFile()).rejects.toMatchObject(invalid);
    } finally {
      folder.remove();
    }
  });
});
