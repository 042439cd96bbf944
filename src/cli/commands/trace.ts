import { Fault, hasReason } from "../../lib/runtime/fault.ts";
import type { TraceFlags } from "../define/tools.ts";
import { span as time } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import type { Session } from "../session.ts";
import { analyze } from "../trace/analyze.ts";
import { type FullTrace, readTrace, tracesOf } from "../trace/receiver.ts";
import { nameOf, summaryLines, waterfall } from "../trace/waterfall.ts";
import { isMachineId, machineId, machinesClient } from "./find.ts";

const API_TIMEOUT_MS = 3_000;
const DEFAULT_WIDTH = 110;
const MIN_WIDTH = 60;

/** `hover trace`. */
export const showTrace: Handler<[string], TraceFlags> = async (session, [subject], flags) => {
  const traceId = /^[0-9a-f]{32}$/i.test(subject)
    ? subject.toLowerCase()
    : await traceIdOf(session, subject, flags);
  const full = await readTrace(session, traceId);
  if (session.json) session.printJson(traceJson(full));
  else session.printLines(traceLines(full, session, flags));
  return undefined;
};

/** The machine knows its traces; when the api cannot be asked, the receiver is. */
async function traceIdOf(session: Session, subject: string, flags: TraceFlags): Promise<string> {
  try {
    const client = await machinesClient(session);
    const id = await machineId(session, client, subject, flags);
    const { machine } = await session.call(
      client,
      client.getMachine,
      { machineId: id },
      { timeoutMs: API_TIMEOUT_MS },
    );
    const traceId = flags.create ? machine?.createTraceId : machine?.lastStartTraceId;
    if (traceId) return traceId;
    throw noTrace(subject, flags);
  } catch (err) {
    const isAway = err instanceof Fault && (err.code === "UNAVAILABLE" || err.code === "DEADLINE_EXCEEDED");
    if (!isMachineId(subject) || !(isAway || hasReason(err, "INTERNAL"))) throw err;
    session.say("The api does not answer; asking the trace receiver.");
    return newestTrace(session, subject, flags);
  }
}

const CREATES = /\b(?:run|create)$|\/CreateMachine$/;
const STARTS = /\b(?:start|run)$|\/StartMachine$|\/CreateMachine$/;

async function newestTrace(session: Session, id: string, flags: TraceFlags): Promise<string> {
  const wanted = flags.create ? CREATES : STARTS;
  const found = (await tracesOf(session, id)).find((trace) => wanted.test(trace.root_name));
  if (!found) throw noTrace(id, flags);
  return found.trace_id;
}

function noTrace(machine: string, flags: TraceFlags): Fault {
  const what = flags.create ? "no trace of its create" : "not been started yet";
  return new Fault("NOT_FOUND", "TRACE_NOT_FOUND", `the machine ${machine} has ${what}`, { machine });
}

function traceLines(full: FullTrace, { terminal }: Session, flags: TraceFlags): string[] {
  const analysis = analyze(full.spans);
  if (!analysis) return ["The trace has no spans."];
  const { paint } = terminal;
  const { root } = analysis;
  const width = Math.max(MIN_WIDTH, terminal.width ?? DEFAULT_WIDTH);
  const services = new Set(full.spans.map((span) => span.service)).size;
  const took = time(root.duration_us / 1_000);
  const dropped = full.trace.dropped_spans > 0 ? `, ${full.trace.dropped_spans} more were not kept` : "";
  return [
    `${paint.bold(nameOf(root))}  ${took}  ${new Date(root.start_us / 1_000).toISOString()}`,
    paint.dim(`trace ${full.trace.trace_id}, ${full.spans.length} spans of ${services} services${dropped}`),
    "",
    ...waterfall(analysis, { width, paint, all: flags.all === true }),
    "",
    ...summaryLines(analysis, paint),
  ];
}

/** The shape of a trace with `--json`: the spans as a tree laid flat, parents first, with what each cost. */
function traceJson({ trace, spans }: FullTrace) {
  const analysis = analyze(spans);
  return {
    trace_id: trace.trace_id,
    root_name: analysis?.root.name ?? trace.root_name,
    complete: trace.has_root && analysis?.rows.every((row) => !row.detached) === true,
    start_time: trace.start_time,
    duration_us: analysis?.root.duration_us ?? trace.duration_us,
    coverage: round(analysis?.coverage ?? 0),
    hops: (analysis?.hops ?? []).map((hop) => ({
      name: hop.name,
      self_us: hop.selfUs,
      share: round(hop.share),
    })),
    spans: (analysis?.rows ?? []).map((row) => ({
      span_id: row.span.span_id,
      parent_span_id: row.span.parent_span_id ?? null,
      name: row.span.name,
      service: row.span.service,
      kind: row.span.kind,
      depth: row.depth,
      offset_us: row.offsetUs,
      duration_us: row.span.duration_us,
      self_us: row.selfUs,
      self_share: round(row.selfShare),
      status: row.span.status,
      attributes: row.span.attributes,
    })),
  };
}

function round(share: number): number {
  return Math.round(share * 10_000) / 10_000;
}
