import type { AuditEntry } from "../../src/lib/audit/audit-entry.ts";

/** An entry with a value in every field. */
export const auditEntry: AuditEntry = {
  timeMs: Date.UTC(2026, 10, 29),
  method: "windhover.machines.v1.MachinesService/StartMachine",
  action: "machines:start",
  kind: "machine",
  object: "0000a1b2c3d4e5",
  subject: "me",
  org: "acme",
  token: "abc",
  code: "OK",
  reason: "",
  traceId: "ab".repeat(16),
  client: "127.0.0.1:4000",
  count: 1,
};
