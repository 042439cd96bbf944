import { afterEach, beforeEach, expect, test } from "vitest";
import { passwordCredentials } from "../../../src/lib/oci/auth/credentials.ts";
import { RegistryClient } from "../../../src/lib/oci/registry.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { buildImage, FakeRegistry } from "../../support/oci/index.ts";
import { signal, sourceOf } from "./registry-fixture.ts";

const HOUR_MS = 3_600_000;
const image = buildImage({ layers: [[{ path: "a" }]] });

let registry: FakeRegistry;
let client: RegistryClient;
let clock: ManualClock;
beforeEach(async () => {
  registry = await FakeRegistry.start();
  for (const name of ["x", "y"]) registry.add(name, "latest", image);
  clock = new ManualClock();
  const retry = { attempts: 3, firstMs: 1, maxMs: 20 };
  client = new RegistryClient({ clock, retry, allowPrivate: ["127.0.0.1"] });
});
afterEach(async () => {
  client.close();
  await registry[Symbol.asyncDispose]();
});

function resolve({ name = "x", org = "acme", password = "" } = {}) {
  const credentials = password === "" ? undefined : passwordCredentials("k", password);
  return client.resolve(sourceOf(`${registry.host}/${name}`, credentials, org), signal);
}

const limited = {
  code: "RESOURCE_EXHAUSTED",
  reason: "REGISTRY_RATE_LIMITED",
  facts: { status: "429", retry_after_s: "3600" },
};

test.each([
  ["in seconds", () => "3600"],
  ["as a date", () => new Date(clock.now() + HOUR_MS).toUTCString()],
])("a registry that says %s when to come back is asked once, and not before", async (_, after) => {
  registry.script = () => ({ status: 429, headers: { "retry-after": after() } });

  const first = resolve();
  await expect(first).rejects.toMatchObject({ code: limited.code, reason: limited.reason });
  const { facts, retryAfterMs } = await first.catch((err) => err);
  // A date has no milliseconds.
  expect(Math.abs(retryAfterMs - HOUR_MS)).toBeLessThanOrEqual(1_000);
  expect(Math.abs(Date.parse(facts.retry_time) - clock.now() - HOUR_MS)).toBeLessThanOrEqual(1_000);

  clock.advance(HOUR_MS / 2);
  await expect(resolve()).rejects.toMatchObject({
    facts: { retry_after_s: expect.stringMatching(/^(1799|1800)$/) },
  });
  expect(registry.requests).toHaveLength(1);

  clock.advance(HOUR_MS / 2 + 1_000);
  registry.script = () => undefined;
  expect((await resolve()).digest).toBe(image.digest);
});

test("it is asked for another repository, another organisation, and with other credentials", async () => {
  registry.script = () => ({ status: 429, headers: { "retry-after": "3600" } });

  for (const who of [{}, { name: "y" }, { org: "other" }, { password: "p" }])
    await expect(resolve(who)).rejects.toMatchObject(limited);

  expect(registry.requests).toHaveLength(4);
});

test("a token server's limit counts as the registry's", async () => {
  registry.auth = { kind: "token" };
  registry.script = ({ kind }) =>
    kind === "token" ? { status: 429, headers: { "retry-after": "3600" } } : undefined;

  await expect(resolve()).rejects.toMatchObject(limited);
  await expect(resolve()).rejects.toMatchObject(limited);
  expect(registry.count("token")).toBe(1);
});

test("a registry that limits without a time is asked a few times, and says what it is", async () => {
  registry.script = () => ({ status: 429 });

  await expect(resolve()).rejects.toMatchObject({
    code: limited.code,
    reason: limited.reason,
    facts: { attempts: "3" },
  });
  expect(registry.requests).toHaveLength(3);
});

test("a registry that is away for a stated time is not asked before, and is not called a limit", async () => {
  registry.script = () => ({ status: 503, headers: { "retry-after": "3600" } });

  for (const _ of [1, 2])
    await expect(resolve()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      facts: { status: "503", retry_after_s: "3600" },
    });
  expect(registry.requests).toHaveLength(1);
});
