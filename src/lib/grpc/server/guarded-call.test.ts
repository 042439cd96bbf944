import { afterEach, expect, test, vi } from "vitest";
import type { AuditEntry } from "../../audit/audit-entry.ts";
import { TokenVerifier } from "../../auth/auth.ts";
import { parseBlock } from "../../auth/biscuit/block-source.ts";
import type { Claims } from "../../auth/claims.ts";
import { generateKeyPair } from "../../auth/keys.ts";
import type { RpcRule } from "../../auth/rpc-rules.ts";
import { GuardedCall } from "./guarded-call.ts";

const PATH = "/test.Service/Exec";
const RULE: RpcRule = {
  action: "machines:exec",
  scopes: ["machines:write"],
  isAudited: true,
  needsGoodStanding: false,
  kind: "machine",
  object: "machineId",
};

/** Claims of a token that does not expire, with these restrictions. */
function claims(checks: Claims["checks"]): Claims {
  return {
    ...{ subject: "me", org: "acme", scopes: ["machines:write"], id: "t", ids: ["t"] },
    ...{ checks, issuedMs: 0, expiresMs: Number.MAX_SAFE_INTEGER },
  };
}

afterEach(() => {
  vi.useRealTimers();
});

test("a stream is about what its first message names, whatever the others do", async () => {
  const entries: AuditEntry[] = [];
  const call = new GuardedCall(
    {
      verifier: new TokenVerifier(generateKeyPair().publicKey),
      rules: new Map([[PATH, RULE]]),
      audit: { record: (entry) => void entries.push(entry) },
    },
    PATH,
    "peer",
  );
  call.admit(claims([]));
  for (const machineId of ["first", "", "another"]) await call.request({ machineId });
  call.ended(0, undefined, "");

  expect(entries).toMatchObject([{ object: "first", action: "machines:exec", code: "OK", subject: "me" }]);
});

test.each([
  ["check if time($t), $t > 2026-01-01T00:00:00Z, $t < 2026-11-30T12:00:00Z", true],
  ['check if time($t), $t < 2026-11-30T12:00:00Z, action("machines:exec")', true],
  ['check if time($t), $t < 2026-11-30T12:00:00Z, app("web")', true],
  ['check if app("shop") or machine("m1"), time($t), $t < 2026-11-30T12:00:00Z', true],
  ['check if machine("m1") or time($t), $t < 2026-11-30T12:00:00Z', false],
  ['check if app("web")', false],
])("a session ends when a restriction by time no longer holds: %s", async (check, ends) => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 30, 11), toFake: ["Date"] });
  const { checks } = parseBlock(`${check};`);
  const call = new GuardedCall(
    {
      verifier: new TokenVerifier(generateKeyPair().publicKey),
      rules: new Map([[PATH, { ...RULE, isSession: true }]]),
      appOf: async () => "web",
    },
    PATH,
    "peer",
  );
  call.admit(claims(checks));
  await call.request({ machineId: "m1" });
  await call.request({ machineId: "" });

  expect(call.lapse()).toBeUndefined();
  vi.setSystemTime(Date.UTC(2026, 10, 30, 13));
  expect(call.lapse()?.reason).toBe(ends ? "TOKEN_RESTRICTED" : undefined);
});
