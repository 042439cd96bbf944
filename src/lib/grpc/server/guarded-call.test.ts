import { expect, test } from "vitest";
import type { AuditEntry } from "../../audit/audit-entry.ts";
import { TokenVerifier } from "../../auth/auth.ts";
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
  const times = { issuedMs: 0, expiresMs: Number.MAX_SAFE_INTEGER };
  call.admit({
    subject: "me",
    org: "acme",
    scopes: ["machines:write"],
    id: "t",
    ids: ["t"],
    checks: [],
    ...times,
  });
  for (const machineId of ["first", "", "another"]) await call.request({ machineId });
  call.ended(0, undefined, "");

  expect(entries).toMatchObject([{ object: "first", action: "machines:exec", code: "OK", subject: "me" }]);
});
