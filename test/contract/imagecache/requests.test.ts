import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import { call } from "../../../src/lib/grpc/client.ts";
import { KEYS, MISSING, openEnsure, startImageCache, type TestImageCache, TIMEOUT } from "./fixture.ts";

describe("requests that are wrong", () => {
  let cache: TestImageCache;
  beforeAll(async () => {
    cache = await startImageCache();
  });
  afterAll(() => cache[Symbol.asyncDispose]());

  test("all wrong fields are named at once", async () => {
    const pull = cache.ensure("", "sha256:12", "-nobody/../x");

    await expect(pull).rejects.toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    const fields = await pull.catch((err) => err.violations.map((v: { field: string }) => v.field));
    expect(fields).toEqual(["reference", "digest", "owner"]);
  });

  test("a reference that cannot be parsed says what is wrong with it", async () => {
    const pull = cache.ensure("https://Docker.io/Nginx", MISSING);

    await expect(pull).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "IMAGE_REFERENCE_INVALID",
      facts: { reference: "https://Docker.io/Nginx" },
      violations: [{ field: "reference" }],
    });
  });

  test("pins name every pin that is wrong", async () => {
    const pins = [
      { digest: MISSING, owner: "m1", org: "" },
      { digest: "x", owner: "", org: "" },
    ];
    const answer = call(cache.client, cache.client.reconcilePins, { pins }, TIMEOUT);

    await expect(answer).rejects.toMatchObject({
      violations: [{ field: "pins[1].digest" }, { field: "pins[1].owner" }],
    });
  });

  test("a page token must come from an earlier answer", async () => {
    const answer = call(cache.client, cache.client.listImages, { pageSize: 0, pageToken: "?" }, TIMEOUT);

    await expect(answer).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  });

  test.each([
    ["no token", undefined, "UNAUTHENTICATED", "TOKEN_MISSING"],
    ["a token of a user", ["machines:write"] as const, "PERMISSION_DENIED", "SCOPE_MISSING"],
  ])("%s is not enough, for any call", async (_, scopes, code, reason) => {
    const claims = { subject: "user", org: "o", scopes: scopes ?? [] };
    const stranger = cache.connect(scopes && (() => mintToken(KEYS.privateKey, claims, 60)));
    const digest = MISSING;
    const pin = { digest, owner: "m", org: "" };

    const answers = [
      openEnsure(stranger, "x", digest).next(),
      call(stranger, stranger.getImage, { digest }, TIMEOUT),
      call(stranger, stranger.listImages, { pageSize: 0, pageToken: "" }, TIMEOUT),
      call(stranger, stranger.pinImage, pin, TIMEOUT),
      call(stranger, stranger.unpinImage, pin, TIMEOUT),
      call(stranger, stranger.reconcilePins, { pins: [] }, TIMEOUT),
      call(stranger, stranger.removeImage, { digest }, TIMEOUT),
    ];

    for (const answer of await Promise.allSettled(answers)) {
      expect(answer).toMatchObject({ status: "rejected", reason: { code, reason } });
    }
  });
});
