import { type AuditEntry, AuditServiceClient } from "../../../gen/windhover/admin/v1/audit.ts";
import { toJson } from "../../render/json.ts";
import { READ_TIMEOUT_MS, type Session } from "../../session/session.ts";

/** Flags of `hover audit`. */
export interface AuditFlags {
  readonly org?: string;
  readonly subject?: string;
  readonly object?: string;
  /** Milliseconds. */
  readonly since?: number;
  readonly follow?: boolean;
}

/** Prints entries as they come: lines for people, or one JSON object in a line. */
export async function showAudit(session: Session, _args: [], flags: AuditFlags): Promise<void> {
  const { org = "", subject = "", object = "", since, follow = false } = flags;
  const client = await session.client(AuditServiceClient);
  const sinceTime = since === undefined ? undefined : new Date(Date.now() - since);
  const request = { org, subject, object, sinceTime, follow };
  const timeoutMs = follow ? Number.POSITIVE_INFINITY : READ_TIMEOUT_MS * 4;
  for await (const { entries } of session.stream(client, client.readAudit, request, { timeoutMs })) {
    if (session.json) session.printLines(entries.map((entry) => JSON.stringify(toJson(entry))));
    else session.printLines(entries.map(lineOf));
  }
}

function lineOf(entry: AuditEntry): string {
  const { time, action, method, kind, object, org, subject, code, reason, client, count, traceId } = entry;
  const who = subject === "" ? "somebody without a valid token" : `${subject}@${org || "services"}`;
  const outcome = code === "OK" ? "ok" : `${code}${reason === "" ? "" : ` / ${reason}`}`;
  return [
    time?.toISOString() ?? "-",
    outcome,
    action || method,
    ...(object === "" ? [] : [`${kind} ${object}`]),
    `by ${who} from ${client || "several addresses"}`,
    ...(count > 1 ? [`${count} times`] : []),
    ...(traceId === "" ? [] : [`trace ${traceId}`]),
  ].join("  ");
}
