import type {
  AuditServiceServer,
  ReadAuditRequest,
  AuditEntry as WireEntry,
} from "../../gen/windhover/admin/v1/audit.ts";
import type { AuditEntry } from "../../lib/audit/audit-entry.ts";
import { type AuditQuery, readAudit } from "../../lib/audit/read-audit.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { serverStream } from "../../lib/grpc/server/rpc.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";

/** Readers of an organisation at once. Each has all files open. */
const MAX_READERS = 16;

/** @param folder of the log; undefined when there is none */
export function auditService(folder: string | undefined): AuditServiceServer {
  const readers = new Concurrency(MAX_READERS, tooManyReaders);
  return {
    readAudit: serverStream(async function* (req, ctx) {
      const claims = requireScope(ctx, "admin", "machines:read");
      if (folder === undefined) throw notKept();
      const isAdmin = claims.scopes.includes("admin");
      const query = queryFromProto(req, isAdmin ? undefined : claims.org);
      // An organisation asks for another one's entries: there are none that it may see.
      if (!isAdmin && req.org !== "" && req.org !== claims.org) return;
      const giveBack = query.reader === undefined ? undefined : readers.take(query.reader);
      try {
        for await (const entries of readAudit(folder, query, ctx.signal)) {
          yield { entries: entries.map(entryToProto) };
        }
      } finally {
        giveBack?.();
      }
    }),
  };
}

function queryFromProto(req: ReadAuditRequest, ownOrg: string | undefined): AuditQuery {
  return {
    org: ownOrg ?? (req.org || undefined),
    subject: req.subject || undefined,
    object: req.object || undefined,
    sinceMs: req.sinceTime?.getTime(),
    follow: req.follow,
    reader: ownOrg,
  };
}

function entryToProto({ timeMs, ...entry }: AuditEntry): WireEntry {
  return { ...entry, time: new Date(timeMs) };
}

function tooManyReaders(org: string, limit: number): Fault {
  const message = `organisation ${org} reads the audit log ${limit} times already; end some first`;
  const facts = { org, limit: String(limit) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS", message, facts, { retryAfterMs: 1_000 });
}

function notKept(): Fault {
  const message = "this api writes no audit log to a file; set API_AUDIT_DIR";
  return new Fault("FAILED_PRECONDITION", "AUDIT_NOT_KEPT", message);
}
