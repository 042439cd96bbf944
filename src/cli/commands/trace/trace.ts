import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { span as time } from "../../render/time.ts";
import type { Session } from "../../session/session.ts";
import { type AppFlag, isMachineId, machineId, machinesClient } from "../find.ts";
import { analyze } from "./analyze.ts";
import { type FullTrace, readTrace, tracesOf } from "./receiver.ts";
import { nameOf, summaryLines, waterfall } from "./waterfall.ts";

const API_TIMEOUT_MS = 3_000;
const DEFAULT_WIDTH = 110;
const MIN_WIDTH = 60;

export interface TraceFlags extends AppFlag {
  readonly create?: boolean;
  readonly all?: boolean;
}

export async function showTrace(session: Session, [subject]: [string], flags: TraceFlags): Promise<void> {
  const isTraceId = /^[0-9a-f]{32}$/i.test(subject);
  const traceId = isTraceId ? subject.toLowerCase() : await traceIdOf(session, subject, flags);
  const full = await readTrace(session, traceId);
  if (session.json) session.printJson(traceJson(full));
  else session.printLines(traceLines(full, session, flags));
}

/** Asks the API for a machine's trace, and the receiver when the API does not answer. */
async function traceIdOf(session: Session, subject: string, flags: TraceFlags): Promise<string> {
  try {
    const client = await machinesClient(session);
    const id = await machineId(session, client, subject, flags);
    const options = { timeoutMs: API_TIMEOUT_MS };
    const { machine } = await session.call(client, client.getMachine, { machineId: id }, options);
    const traceId = flags.create ? machine?.createTraceId : machine?.lastStartTraceId;
    if (traceId) return traceId;
    throw noTrace(subject, flags);
  } catch (err) {
    const isAway = err instanceof Fault && (err.code === "UNAVAILABLE" || err.code === "DEADLINE_EXCEEDED");
    if (!isMachineId(subject) || !(isAway || hasReason(err, "INTERNAL"))) throw err;
    session.say("The API does not answer; asking the trace receiver.");
    const wanted = flags.create ? CREATES : STARTS;
    const found = (await tracesOf(session, subject)).find((trace) => wanted.test(trace.root_name));
    if (!found) throw noTrace(subject, flags);
    return found.trace_id;
  }
}

const CREATES = /\b(?:run|create)$|\/CreateMachine$/;
const STARTS = /\b(?:start|run)$|\/StartMachine$|\/CreateMachine$/;

function noTrace(machine: string, flags: TraceFlags): Fault {
  const what = flags.create ? "has no trace of its create" : "has not been started yet";
  const facts = { machine, of: flags.create ? "create" : "start" };
  return new Fault("NOT_FOUND", "TRACE_NOT_FOUND", `the machine ${machine} ${what}`, facts);
}

function traceLines({ trace, spans }: FullTrace, { terminal }: Session, flags: TraceFlags): string[] {
  const analysis = analyze(spans);
  if (!analysis) return ["The trace has no spans."];
  const { paint } = terminal;
  const { root } = analysis;
  const width = Math.max(MIN_WIDTH, terminal.width ?? DEFAULT_WIDTH);
  const services = new Set(spans.map((span) => span.service)).size;
  const dropped = trace.dropped_spans > 0 ? `, ${trace.dropped_spans} more were not kept` : "";
  const startedAt = new Date(root.start_us / 1_000).toISOString();
  return [
    `${paint.bold(nameOf(root))}  ${time(root.duration_us / 1_000)}  ${startedAt}`,
    paint.dim(`trace ${trace.trace_id}, ${spans.length} spans of ${services} services${dropped}`),
    "",
    ...waterfall(analysis, { width, paint, all: flags.all === true }),
    "",
    ...summaryLines(analysis, paint),
  ];
}

/** The shape of a trace with `--json`: spans with their costs, parents first. */
function traceJson({ trace, spans }: FullTrace) {
  const { root, rows = [], hops = [], coverage = 0 } = analyze(spans) ?? {};
  return {
    trace_id: trace.trace_id,
    root_name: root?.name ?? trace.root_name,
    complete: trace.has_root && rows.length > 0 && rows.every((row) => !row.detached),
    start_time: trace.start_time,
    duration_us: root?.duration_us ?? trace.duration_us,
    coverage: round(coverage),
    hops: hops.map(({ name, selfUs, share }) => ({ name, self_us: selfUs, share: round(share) })),
    spans: rows.map(({ span, depth, offsetUs, selfUs, selfShare }) => ({
      span_id: span.span_id,
      parent_span_id: span.parent_span_id ?? null,
      name: span.name,
      service: span.service,
      kind: span.kind,
      depth,
      offset_us: offsetUs,
      duration_us: span.duration_us,
      self_us: selfUs,
      self_share: round(selfShare),
      status: span.status,
      attributes: span.attributes,
    })),
  };
}

function round(share: number): number {
  return Math.round(share * 10_000) / 10_000;
}
