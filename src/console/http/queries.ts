import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Fault } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import type { Comparison } from "../../lib/latency/answers.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import { DIMENSIONS, type Dimension, type Points } from "../answers/operations.ts";
import { measured, select } from "../columns/select.ts";
import { type Export, exportOf, FORMATS, MAX_EXPORTED } from "../export/export.ts";
import { collectFilter, type Filter } from "../parameters/filter.ts";
import { readInteger } from "../parameters/values.ts";
import { latencyBy, valuesIn } from "../queries/by-group.ts";
import { compare } from "../queries/compare.ts";
import { differences } from "../queries/differences.ts";
import { overview } from "../queries/overview.ts";
import type { Question } from "../queries/question.ts";
import { latest, rowsOf, typicalHops } from "../queries/rows.ts";
import { flame } from "../traces/flame.ts";
import { waterfall } from "../traces/waterfall.ts";
import { type ConsoleParts, type Identify, parametersOf } from "./parts.ts";

const MAX_POINTS = 5_000;
/** Answers of one organisation that were not read yet, and downloads, which hold the columns of their begin. */
const MAX_ANSWERS = 32;
const MAX_DOWNLOADS = 4;
/** Of one organisation, or of operators; the rest of a second waits. */
const QUERIES_PER_SECOND = 40;
const BURST = 80;

/** A query of the page: what the parameters select, and who asks. */
type Answer = (question: Question, parameters: URLSearchParams) => unknown;

/** Serves the queries. */
export function registerQueries(server: FastifyInstance, parts: ConsoleParts, identify: Identify): void {
  const { memory, source, clock } = parts;
  const pace = new QueryPace(() => clock.monotonicMs());

  const answers = new Concurrency(MAX_ANSWERS, tooMany("answers"));
  const downloads = new Concurrency(MAX_DOWNLOADS, tooMany("downloads"));

  /** Identifies the sender. Until its answer was taken, it counts against the organisation's share. */
  async function ask(request: FastifyRequest, reply: FastifyReply, share = answers) {
    const { org, claims } = await identify(request);
    pace.take(claims.org);
    reply.raw.once("close", share.take(claims.org));
    return org;
  }

  const query = (path: string, own: readonly string[], answer: Answer): void => {
    server.get(path, async (request, reply) => {
      const org = await ask(request, reply);
      const parameters = parametersOf(request);
      const violations = new Violations();
      const filter = collectFilter(parameters, clock.now(), own, "start", violations, "");
      for (const check of own.map((name) => OWN_CHECKS[name])) check?.(parameters, violations);
      violations.throwIfAny();
      return answer({ filter, org }, parameters);
    });
  };

  query("/api/overview", [], (question) => overview(memory, question));

  query("/api/points", ["limit"], ({ filter, org }, parameters): Points => {
    const { columns } = memory;
    const limit = integerOf(parameters, "limit", MAX_POINTS);
    const selected = select(columns, filter, org);
    const typical = typicalHops(columns, measured(columns, selected, filter));
    const newest = latest(columns, selected, limit).reverse();
    return { points: rowsOf(columns, newest, typical), is_whole: newest.length === selected.length };
  });

  query("/api/differences", [], ({ filter, org }) => {
    if (!filter.box) throw violation("box", "must be given: what is in it is compared with what is not");
    const { columns } = memory;
    const all = select(columns, filter, org, { isBoxed: false });
    return differences(columns, all, select(columns, filter, org));
  });

  query("/api/flame", [], ({ filter, org }) => {
    const { columns } = memory;
    const selected = measured(columns, select(columns, filter, org), filter);
    return flame(source, columns, selected, org, () => clock.monotonicMs());
  });

  query("/api/latency", ["by"], ({ filter, org }, parameters) => {
    const { columns } = memory;
    const selected = select(columns, filter, org);
    const by = dimensionOf(parameters.get("by"));
    return latencyBy(columns, selected, measured(columns, selected, filter), filter, by);
  });

  query("/api/values", [], ({ filter, org }) =>
    valuesIn(memory.columns, select(memory.columns, filter, org)),
  );

  server.get("/api/compare", async (request, reply): Promise<Comparison> => {
    const org = await ask(request, reply);
    const [a, b] = sidesOf(parametersOf(request), clock.now());
    const { columns } = memory;
    const of = (filter: Filter) => measured(columns, select(columns, filter, org), filter);
    return compare(columns, of(a), of(b));
  });

  server.get<{ Params: { id: string } }>("/api/traces/:id", async (request, reply) => {
    const org = await ask(request, reply);
    const id = request.params.id.toLowerCase();
    if (!/^[0-9a-f]{32}$/.test(id)) throw violation("trace", "must be 32 hex digits");
    const found = waterfall(source, memory.columns, id, org);
    if (found) return found;
    throw new Fault("NOT_FOUND", "TRACE_NOT_FOUND", `no trace ${id} is kept here`, { trace_id: id });
  });

  server.get("/api/export", async (request, reply) => {
    const org = await ask(request, reply, downloads);
    const parameters = parametersOf(request);
    const own = ["format", "trace", "limit"];
    const format = FORMATS.find((each) => each === (parameters.get("format") ?? "json"));
    const violations = new Violations();
    violations.check(format !== undefined, "format", `must be one of ${FORMATS.join(", ")}`);
    const trace = parameters.get("trace")?.toLowerCase();
    violations.check(trace === undefined || /^[0-9a-f]{32}$/.test(trace), "trace", "must be 32 hex digits");
    const filter = collectFilter(parameters, clock.now(), own, "start", violations, "");
    violations.throwIfAny();
    const limit = format === undefined ? 0 : integerOf(parameters, "limit", MAX_EXPORTED[format]);
    return await send(reply, exportOf(parts, { filter, org }, { format: format ?? "json", trace, limit }));
  });
}

async function send(reply: FastifyReply, { type, name, text }: Export): Promise<FastifyReply> {
  // Read as fast as the client takes it.
  return await reply
    .type(type)
    .header("content-disposition", `attachment; filename="${name}"`)
    .send(Readable.from(text, { objectMode: false, highWaterMark: 64 * 1024 }));
}

function sidesOf(parameters: URLSearchParams, nowMs: number): [a: Filter, b: Filter] {
  const violations = new Violations();
  for (const name of new Set(parameters.keys()))
    violations.check(name === "a" || name === "b", name.slice(0, 64), "is no parameter of this query");
  const read = (name: string): Filter => {
    violations.check(
      parameters.getAll(name).length === 1,
      name,
      "must be given once: parameters, URL-encoded",
    );
    const own = new URLSearchParams(parameters.get(name) ?? "");
    return collectFilter(own, nowMs, [], "start", violations, `${name}.`);
  };
  const [a, b] = [read("a"), read("b")];
  violations.throwIfAny();
  return [a, b];
}

/** Checks of parameters that one query alone has, by name. */
const OWN_CHECKS: Readonly<
  Record<string, ((parameters: URLSearchParams, violations: Violations) => void) | undefined>
> = {
  by: (parameters, violations) => {
    const text = parameters.get("by") ?? "";
    const isKnown = text === "" || dimensionOf(text) !== undefined;
    violations.check(isKnown, "by", `must be one of ${DIMENSIONS.join(", ")}`);
  },
  limit: (parameters, violations) => {
    const text = parameters.get("limit");
    const isInRange = text === null || readInteger(text, 1, MAX_POINTS) !== undefined;
    violations.check(isInRange, "limit", `must be a whole number from 1 to ${MAX_POINTS}`);
  },
};

function dimensionOf(text: string | null): Dimension | undefined {
  return DIMENSIONS.find((each) => each === text);
}

function integerOf(parameters: URLSearchParams, name: string, most: number): number {
  const text = parameters.get(name);
  const value = text === null ? most : readInteger(text, 1, most);
  if (value === undefined) throw violation(name, `must be a whole number from 1 to ${most}`);
  return value;
}

function tooMany(what: string): (holder: string, limit: number) => Fault {
  return (_holder, limit) => {
    const message = `an organisation may have ${limit} ${what} at a time; read those first`;
    const facts = { limit: String(limit) };
    return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_ANSWERS", message, facts, { retryAfterMs: 1_000 });
  };
}

function violation(field: string, description: string): Fault {
  const violations = new Violations();
  violations.add(field, description);
  return violations.fault();
}

/** Bounds the queries of each organisation: all share one thread. */
class QueryPace {
  readonly #monotonicMs: () => number;
  readonly #left = new Map<string, { readonly left: number; readonly atMs: number }>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** @throws Fault RESOURCE_EXHAUSTED / `TOO_MANY_QUERIES` */
  take(org: string): void {
    const now = this.#monotonicMs();
    const { left, atMs } = this.#left.get(org) ?? { left: BURST, atMs: now };
    const rest = Math.min(BURST, left + ((now - atMs) * QUERIES_PER_SECOND) / 1_000) - 1;
    if (rest < 0) {
      const message = `an organisation may ask ${QUERIES_PER_SECOND} times a second`;
      const facts = { limit: String(QUERIES_PER_SECOND) };
      throw new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_QUERIES", message, facts, { retryAfterMs: 1_000 });
    }
    this.#left.delete(org);
    this.#left.set(org, { left: rest, atMs: now });
    // Whoever has asked nothing for two seconds has everything left.
    for (const [name, each] of this.#left) {
      if (now - each.atMs <= (BURST / QUERIES_PER_SECOND) * 1_000) break;
      this.#left.delete(name);
    }
  }
}
