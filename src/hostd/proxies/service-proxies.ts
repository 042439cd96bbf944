import type {
  AttachProxyRequest,
  AttachProxyResponse,
  ReleasedMachine,
  RoutedMachine,
} from "../../gen/windhover/hostd/v1/hostd.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { Fault, invalid } from "../../lib/faults/fault.ts";
import { serverDraining } from "../../lib/grpc/draining.ts";
import { durationFromProto, durationToProto } from "../../lib/grpc/messages/duration.ts";
import { bidiWire } from "../../lib/grpc/server/rpc.ts";
import type { Wire, WireUser } from "../../lib/grpc/wire.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import type { Store } from "../store/store.ts";
import { missingMachine, routedToProto } from "./convert-routed.ts";
import type { Proxies } from "./proxies.ts";
import type { StreamUses } from "./uses.ts";

export interface AttachParts {
  readonly store: Pick<Store, "get" | "subscribe">;
  readonly proxies: Proxies;
}

const MAX_PROXIES = 256;
const MAX_WATCHED = 100_000;
const MAX_NAMED = 10_000;
/** Machines and acknowledgements that wait for a proxy that is behind. Each machine waits once. */
const MAX_UNSENT = 2 * MAX_WATCHED;
/** In one message: a machine has less than 8 KiB. */
const BATCH = 100;
/** Messages in the time that lost uses last. */
const HEARTBEATS = 6;
const MIN_BEAT_MS = 500;
const PROXY_ID = /^[a-z0-9-]{1,63}$/;

/** Serves AttachProxy. */
export function attachProxies(parts: AttachParts) {
  const open = proxyAttachments(parts);
  return bidiWire<AttachProxyRequest, AttachProxyResponse>((wire, ctx) => {
    requireScope(ctx, "internal");
    const draining = onAbort(ctx.draining, () => wire.fail(serverDraining("the host is shutting down")));
    return open(wire, () => draining[Symbol.dispose]());
  });
}

/** Returns a function that serves the stream of a proxy. */
export function proxyAttachments(parts: AttachParts) {
  const attached = new Map<string, Attachment>();
  return (wire: Wire<AttachProxyResponse>, onClosed: () => void = () => {}): WireUser<AttachProxyRequest> =>
    new Attachment(parts, wire, attached, onClosed);
}

/**
 * The stream of one proxy. A machine that has changed several times before it is sent is sent once,
 * as it is then.
 */
class Attachment implements WireUser<AttachProxyRequest> {
  readonly #parts: AttachParts;
  readonly #wire: Wire<AttachProxyResponse>;
  readonly #attached: Map<string, Attachment>;
  readonly #onClosed: () => void;
  readonly #subscriptions = new Map<string, () => void>();
  /** In the order in which they have changed. */
  readonly #unsent = new Set<string>();
  /** Uses to acknowledge. */
  readonly #unacknowledged = new Set<string>();
  #proxyId: string | undefined;
  #uses: StreamUses | undefined;
  #isBehind = false;
  #flush: NodeJS.Immediate | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(
    parts: AttachParts,
    wire: Wire<AttachProxyResponse>,
    attached: Map<string, Attachment>,
    onClosed: () => void,
  ) {
    this.#parts = parts;
    this.#wire = wire;
    this.#attached = attached;
    this.#onClosed = onClosed;
  }

  received(request: AttachProxyRequest): void {
    const uses = this.#uses ?? this.#attach(request.proxyId);
    if (this.#proxyId !== request.proxyId && request.proxyId !== "") throw renamed();
    this.#checkCounts(request);
    for (const id of request.unwatchIds) this.#unwatch(id);
    for (const id of request.watchIds) this.#watch(id);
    for (const released of request.released) this.#release(uses, released);
    for (const id of request.useIds) this.#use(uses, id);
    this.#schedule();
  }

  drained(): void {
    this.#isBehind = false;
    this.#send();
  }

  finished(): void {
    this.#wire.end();
  }

  closed(): void {
    clearImmediate(this.#flush);
    clearTimeout(this.#heartbeat);
    for (const end of this.#subscriptions.values()) end();
    this.#subscriptions.clear();
    this.#unsent.clear();
    this.#uses?.end();
    if (this.#proxyId !== undefined && this.#attached.get(this.#proxyId) === this)
      this.#attached.delete(this.#proxyId);
    this.#onClosed();
  }

  #attach(proxyId: string): StreamUses {
    const { uses } = this.#parts.proxies;
    if (!PROXY_ID.test(proxyId)) {
      const description = "is required in the first message: 1 to 63 of a-z, 0-9 and -";
      throw invalid([{ field: "proxy_id", description }]);
    }
    const before = this.#attached.get(proxyId);
    if (!before && this.#attached.size >= MAX_PROXIES) throw tooMany("proxies are attached", MAX_PROXIES);
    // Its stream may have broken unseen.
    before?.replace();
    this.#attached.set(proxyId, this);
    this.#proxyId = proxyId;
    this.#uses = uses.stream(proxyId);
    this.#wire.send({ machines: [], usedIds: [], lostUseTime: durationToProto(uses.lostUseMs) });
    this.#beat(Math.max(MIN_BEAT_MS, uses.lostUseMs / HEARTBEATS));
    return this.#uses;
  }

  /**
   * Sends empty messages: a proxy that has heard nothing for a while cannot rely on its uses, since
   * this end may have lost the stream before the proxy has.
   */
  #beat(intervalMs: number): void {
    this.#heartbeat = setTimeout(() => {
      if (!this.#isBehind) this.#wire.send({ machines: [], usedIds: [], lostUseTime: undefined });
      this.#beat(intervalMs);
    }, intervalMs).unref();
  }

  /** Ends this stream: another one of the same proxy has come. */
  replace(): void {
    const message = `another stream of proxy ${this.#proxyId} has taken the place of this one`;
    this.#wire.fail(new Fault("ABORTED", "PROXY_REPLACED", message));
  }

  #checkCounts({ watchIds, unwatchIds, useIds, released }: AttachProxyRequest): void {
    const named = watchIds.length + unwatchIds.length + useIds.length + released.length;
    if (named > MAX_NAMED) throw tooMany("machines are named in one message", MAX_NAMED);
    const isMany =
      this.#subscriptions.size + watchIds.length > MAX_WATCHED ||
      this.#unsent.size + this.#unacknowledged.size + named > MAX_UNSENT;
    if (isMany) throw tooMany("machines are watched, or wait to be read", MAX_WATCHED);
  }

  #watch(id: string): void {
    const { store, proxies } = this.#parts;
    this.#unsent.add(id);
    // One that is not here may come.
    if (this.#subscriptions.has(id)) return;
    const changed = () => this.#changed(id);
    const ends = [store.subscribe(id, changed), proxies.subscribe(id, changed)];
    this.#subscriptions.set(id, () => {
      for (const end of ends) end();
    });
  }

  #unwatch(id: string): void {
    this.#subscriptions.get(id)?.();
    this.#subscriptions.delete(id);
    this.#unsent.delete(id);
  }

  #use(uses: StreamUses, id: string): void {
    // A machine that is not here has no requests: its use is nothing that would end one day.
    if (this.#parts.store.get(id)) uses.use(id);
    this.#unsent.add(id);
    this.#unacknowledged.add(id);
  }

  #release(uses: StreamUses, { machineId, unusedFor }: ReleasedMachine): void {
    uses.release(machineId, durationFromProto(unusedFor) ?? 0);
    this.#unacknowledged.delete(machineId);
  }

  #changed(id: string): void {
    this.#unsent.delete(id);
    this.#unsent.add(id);
    this.#schedule();
  }

  #schedule(): void {
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#send();
    });
  }

  #send(): void {
    while (this.#unsent.size > 0 && !this.#isBehind) {
      const ids = firstOf(this.#unsent, BATCH);
      const machines = ids.map((id) => this.#toProto(id));
      const usedIds = ids.filter((id) => this.#unacknowledged.delete(id));
      for (const id of ids) this.#unsent.delete(id);
      this.#isBehind = !this.#wire.send({ machines, usedIds, lostUseTime: undefined });
    }
  }

  #toProto(id: string): RoutedMachine {
    const machine = this.#parts.store.get(id);
    return machine ? routedToProto(machine, this.#parts.proxies) : missingMachine(id);
  }
}

function firstOf(ids: ReadonlySet<string>, count: number): readonly string[] {
  const first: string[] = [];
  for (const id of ids) if (first.push(id) === count) break;
  return first;
}

function renamed(): Fault {
  const description = "cannot change within a stream";
  return invalid([{ field: "proxy_id", description }]);
}

function tooMany(what: string, limit: number): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_WATCHED", `too many ${what}: the limit is ${limit}`, {
    limit: String(limit),
  });
}
