import { setTimeout as sleep } from "node:timers/promises";
import { monotonicFactory } from "ulid";
import { failSpan, nowUs } from "../../../lib/otel/tracing.ts";
import { newRecord, type RequestRecord } from "../../answers/request-record.ts";
import { RequestTrace } from "../../answers/request-trace.ts";
import { ProxyError } from "../../proxy-error.ts";
import type { Place, Target } from "../../route.ts";
import { AttemptError, type MachineAnswer } from "../backend/answer.ts";
import { BodyTape, KEEP_BYTES } from "../body-tape.ts";
import type { Exchange } from "../exchange.ts";
import { headerOf } from "../headers/fields.ts";
import { MAX_PASSES, passes } from "../headers/request-headers.ts";
import { answerHead, changedHead, informationHeaders } from "../headers/response-headers.ts";
import { type RequestTarget, readTarget } from "../headers/target.ts";
import type { ReplayOrder } from "../replay/replay-order.ts";
import { askOf, type Way } from "../replay/way.ts";
import { answerError, cutAnswer, redirectToHttps } from "./answer-error.ts";
import { Attempt } from "./attempt.ts";
import { bodyLength, outgoingRequest } from "./outgoing-request.ts";
import type { ProxyParts } from "./parts.ts";
import { passChanged } from "./pass-changed.ts";
import { relay } from "./relay.ts";
import { Replaying } from "./replaying.ts";
import { requireHttp } from "./require-http.ts";
import { Retries } from "./retries.ts";

/** Informational answers that reach the client. */
const MAX_INFORMATIONAL = 32;
/** A request that has waited for a machine so long has its body read, as far as it is kept. */
const READ_AHEAD_MS = 250;
/** Ids of requests are no secrets: quick ones will do. */
const nextId = monotonicFactory(Math.random);

/** One request on its way to a machine. */
export class RequestRun {
  readonly record: RequestRecord;
  readonly trace: RequestTrace;
  readonly #exchange: Exchange;
  readonly #parts: ProxyParts;
  readonly #tape: BodyTape;
  readonly #startUs = nowUs();
  readonly #startedMs = performance.now();
  readonly #retries: Retries;
  readonly #replaying: Replaying;
  #attempt: Attempt | undefined;
  #informed = 0;
  #bodyError: ProxyError | undefined;

  constructor(exchange: Exchange, parts: ProxyParts) {
    const { connection, version, method, headers, body } = exchange;
    const requestId = `${nextId()}-${parts.settings.region}`;
    this.record = newRecord({ requestId, connection, version, method, startMs: Date.now() });
    this.trace = new RequestTrace(headerOf(headers, "traceparent") ?? "", method);
    this.record.traceId = this.trace.traceId;
    this.#exchange = exchange;
    this.#parts = parts;
    const limits = { keep: KEEP_BYTES, body: parts.settings.maxBodyBytes };
    this.#tape = new BodyTape(body, parts.budget, limits, {
      passed: () => this.#attempt?.touch(),
      tooLarge: () => this.#refuseBody(),
      org: () => this.record.org,
    });
    this.#retries = new Retries(this.#tape, method);
    this.#replaying = new Replaying(this.#tape, headers, parts);
  }

  /** Answers the request. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#forward();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#tape.stop();
      this.#tape.stopKeeping();
      this.record.bytesIn += this.#tape.bytes;
      // The rest of a body that nobody wants: while it is unread, the client may not see its answer.
      this.#exchange.body?.resume();
    }
  }

  /** Milliseconds since the request came. */
  elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  async #forward(): Promise<void> {
    const { headers, connection } = this.#exchange;
    const asked = readTarget(this.#exchange);
    this.record.hostname = asked.hostname;
    this.record.path = asked.path.split("?", 1)[0] ?? "";
    if (passes(headers) >= MAX_PASSES)
      throw new ProxyError("LOOP", `the request has passed ${MAX_PASSES} proxies: it goes in circles`);
    const length = bodyLength(this.#exchange);
    if (typeof length === "number" && length > this.#parts.settings.maxBodyBytes) throw tooLarge();
    const target = this.#target(asked.hostname, connection.port);
    if (target.service.forceHttps && !connection.isTls) {
      this.record.status = redirectToHttps(this.#exchange, asked, this.#parts.settings.httpsPort);
      return;
    }
    await this.#follow(asked, this.#replaying.firstWay(target, asked));
  }

  #target(hostname: string, port: number): Target {
    const target = this.#parts.router.target(hostname, port);
    if (!target) throw new ProxyError("NO_SUCH_APP", `no app has the host name ${hostname}`);
    this.record.app = target.app;
    this.record.org = target.org;
    return target;
  }

  /** Sends the request, again and elsewhere as often as it must be. */
  async #follow(asked: RequestTarget, first: Way): Promise<void> {
    let way = first;
    for (;;) {
      const fromMs = performance.now();
      try {
        const order = await this.#once(asked, way);
        if (order === "again") continue;
        if (order === "done") return;
        this.record.replays += 1;
        this.#retries.begin();
        way = this.#replaying.next(asked, way, order.order, order.source);
      } catch (error) {
        const isOver = this.#exchange.hasBegun || this.#exchange.left.aborted || this.#bodyError;
        const next = this.#replaying.after(way, error, asked, performance.now() - fromMs);
        if (isOver || !next) throw error;
        this.#retries.begin();
        way = next;
      }
    }
  }

  async #once(asked: RequestTarget, way: Way): Promise<"done" | "again" | Replay> {
    // Also where a program has sent it on.
    requireHttp(way.target, this.#exchange.connection);
    const place = await this.#admit(way);
    try {
      if (this.#bodyError) throw this.#bodyError;
      const pauseMs = this.#retries.pauseMs(place);
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.#exchange.left });
      return await this.#try(asked, way, place);
    } finally {
      place.release();
    }
  }

  async #admit(way: Way): Promise<Place> {
    const { left } = this.#exchange;
    const { timeoutMs } = way;
    const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const signal = limit ? AbortSignal.any([left, limit]) : left;
    const fromMs = performance.now();
    const ahead = this.#exchange.body && setTimeout(() => this.#tape.readAhead(), READ_AHEAD_MS);
    try {
      const ask = askOf(way, this.#retries.avoid, this.trace);
      const place = await this.#parts.router.admit(way.target, ask, signal);
      this.trace.placed(place.wake);
      this.record.wake ??= place.wake;
      this.record.machineId = place.machineId;
      this.record.region = place.region;
      return place;
    } catch (error) {
      if (limit?.aborted && !left.aborted)
        throw new ProxyError("WAKE_TIMEOUT", "no machine was ready in the time that the replay allows");
      throw error;
    } finally {
      clearTimeout(ahead);
      this.record.waitedMs += performance.now() - fromMs;
    }
  }

  async #try(asked: RequestTarget, way: Way, place: Place): Promise<"done" | "again" | Replay> {
    const { service } = way.target;
    using attempt = new Attempt(this.#exchange, place, service, this.#tape);
    this.#attempt = attempt;
    const { span, traceparent } = this.trace.application(place);
    try {
      const answer = await this.#send(asked, way, place, traceparent, attempt);
      attempt.answered();
      span.setAttribute("http.response.status_code", answer.head.status);
      const order = answer.changed ? undefined : await this.#replaying.orderOf(answer);
      if (order) {
        answer.discard();
        return { order, source: place };
      }
      await this.#pass(answer, way, attempt);
      return "done";
    } catch (error) {
      const reason: unknown = attempt.hasEnded ? attempt.reason : error;
      failSpan(span, reason);
      attempt.end(reason);
      if (this.#exchange.hasBegun || this.#exchange.left.aborted || this.#bodyError) throw reason;
      if (!(error instanceof AttemptError)) throw error;
      if (reason instanceof ProxyError) throw reason;
      if (error.stage !== "begun") place.refused();
      this.#retries.failed(error, way.target, place);
      this.record.retries += 1;
      return "again";
    } finally {
      this.#tape.stop();
      this.#attempt = undefined;
      span.end();
    }
  }

  #send(asked: RequestTarget, way: Way, place: Place, traceparent: string, attempt: Attempt) {
    const { requestId } = this.record;
    const { region } = this.#parts.settings;
    const facts = { requestId, startUs: this.#startUs, region, traceparent };
    const preferred = way.preferInstance;
    const isMissed = preferred !== undefined && preferred !== place.machineId;
    const sent = isMissed ? { ...way, headers: [...way.headers, MISSED, preferred] } : way;
    const outgoing = outgoingRequest(this.#exchange, asked, sent, facts);
    const inform = (status: number, headers: readonly string[]) => {
      this.#informed += 1;
      // They have no backpressure.
      if (this.#informed > MAX_INFORMATIONAL) return;
      attempt.touch();
      this.#exchange.inform(status, informationHeaders(headers));
    };
    const { h1, h2 } = this.#parts;
    const isH2 = way.target.service.http.h2Backend && outgoing.upgrade === "";
    return (isH2 ? h2 : h1).send(place, outgoing, this.#tape, inform, attempt);
  }

  async #pass(answer: MachineAnswer, way: Way, attempt: Attempt): Promise<void> {
    const { http } = way.target.service;
    const { record } = this;
    this.#tape.stopKeeping();
    const head = answerHead(answer.head, http, record);
    record.status = head.status;
    record.firstByteMs = this.elapsedMs();
    this.trace.answered(record);
    if (answer.changed) {
      attempt.changed();
      const bounds = { idleMs: http.idleTimeoutMs, signal: attempt.signal };
      await passChanged(this.#exchange, changedHead(head, answer.head), answer.changed, bounds, record);
      return;
    }
    await relay(answer, head, this.#exchange, attempt, (bytes) => {
      attempt.touch();
      record.bytesOut += bytes;
    });
  }

  #refuseBody(): void {
    this.#bodyError = tooLarge();
    this.#attempt?.end(this.#bodyError);
  }

  #fail(error: unknown): void {
    const { record } = this;
    record.problem = describe(error);
    if (this.#exchange.left.aborted) return;
    const known = error instanceof ProxyError ? error : toProxyError(error);
    record.error = known.code;
    if (this.#exchange.hasBegun) {
      cutAnswer(this.#exchange, known);
      return;
    }
    record.status = known.status;
    answerError(this.#exchange, known, record);
  }
}

interface Replay {
  readonly order: ReplayOrder;
  readonly source: Place;
}

const MISSED = "fly-preferred-instance-unavailable";

function tooLarge(): ProxyError {
  return new ProxyError("TOO_LARGE", "the body of the request is larger than the proxy takes");
}

function toProxyError(cause: unknown): ProxyError {
  return new ProxyError("UNREACHABLE", "the proxy could not pass the request on", { cause });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}`;
}
