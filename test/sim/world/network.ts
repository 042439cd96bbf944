import { AsyncLocalStorage } from "node:async_hooks";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { onAbort } from "../../../src/lib/runtime/abort.ts";
import { Random } from "./random.ts";
import { currentLife, type Life, type Process, type World } from "./world.ts";

/** What a call is served with. */
export interface Call {
  /** Aborts when the caller has gone or its time is over, if that can still be told. */
  readonly signal: AbortSignal;
}

/** Serves a method. What it throws reaches the caller, faults as they are. */
export type Handler = (request: never, call: Call) => unknown;

/** A call that a process serves. */
export interface ServedCall {
  readonly method: string;
  readonly request: unknown;
}

const calls = new AsyncLocalStorage<ServedCall>();

/** The call that the code that runs now does something for; undefined for what a process does by itself. */
export function currentCall(): ServedCall | undefined {
  return calls.getStore();
}

/** How bad the network is: probabilities per message. */
export interface Weather {
  lost: number;
  repeated: number;
  /** Delivered much later than others, so behind many. */
  late: number;
  /** Requests that arrive and are served while their caller is told that the connection broke, and asks somebody else. */
  torn: number;
}

/** One direction of a stream: when its last message arrives. */
export interface Lane {
  atMs: number;
}

/** Milliseconds that a late message takes, at most: longer than a reservation lives. */
const LATE_MS = 20_000;
/** A connection that says nothing is found to be dead by then: gRPC's keepalive and its time-out, see src/lib/grpc/options.ts. */
const KEEPALIVE_MS = 40_000;
const FINE: Weather = { lost: 0, repeated: 0, late: 0, torn: 0 };

/**
 * The network: unary calls. A request or an answer may be lost, come late, or come twice; a process that dies breaks the calls to it.
 * To add a fault, give {@link Weather} a probability and use it in `#carry`.
 */
export class Network {
  readonly world: World;
  readonly random: Random;
  weather: Weather = FINE;
  /** Pairs that cannot reach each other, by name in the order of the alphabet. */
  readonly cut = new Set<string>();
  /** What happens to the requests of a method besides; `lateMs`: they arrive then, and their callers are told that the connection broke. */
  fate: (method: string) => "lost" | { readonly lateMs: number } | undefined = () => undefined;
  readonly #services = new Map<Life, Map<string, Handler>>();

  constructor(world: World) {
    this.world = world;
    this.random = new Random(world.seed, "network");
  }

  /** All messages arrive from now on. */
  heal(): void {
    this.weather = FINE;
    this.fate = () => undefined;
    this.cut.clear();
  }

  /** Serves these methods from now on, for as long as the life lasts. */
  serve(life: Life, handlers: Readonly<Record<string, Handler>>): void {
    const known = this.#services.get(life);
    if (known) for (const [name, handler] of Object.entries(handlers)) known.set(name, handler);
    else {
      this.#services.set(life, new Map(Object.entries(handlers)));
      life.onDeath(() => this.#services.delete(life));
    }
  }

  /**
   * Calls a method of another process, from the life that runs now.
   *
   * @throws Fault the handler's, PEER_UNAVAILABLE, DEADLINE_EXCEEDED; the reason of `signal`
   */
  call<Res>(
    to: Process,
    method: string,
    request: unknown,
    scope: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Res> {
    const from = currentLife();
    if (!from) throw new Error("a call from nowhere");
    const { signal, timeoutMs } = scope;
    const span = trace.getActiveSpan();
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const served = new AbortController();
      let isOver = false;
      const end = (settle: () => void): void => {
        if (isOver) return;
        isOver = true;
        overdue.cancel();
        aborting[Symbol.dispose]();
        forget();
        settle();
      };
      const fail = (fault: unknown) => end(() => reject(fault));
      const overdue = this.world.after(from, timeoutMs, () => {
        this.#hangUp(from, to, served);
        fail(tooLate(method, timeoutMs));
      });
      const aborting = onAbort(signal, () => {
        this.#hangUp(from, to, served);
        fail(signal?.reason);
      });
      const forget = from.onDeath(() => this.#hangUp(from, to, served));
      const broken = (): void => {
        const isTold = this.random.chance(0.9);
        const noticedMs = isTold ? this.random.between(0, 5) : this.random.between(0, KEEPALIVE_MS);
        this.world.after(from, noticedMs, () => fail(gone(to)));
      };
      const serve = (): void => {
        const life = to.life;
        const handler = life && this.#services.get(life)?.get(method);
        if (!life || !handler) {
          broken();
          return;
        }
        const unwatch = life.onDeath(broken);
        const traced = span ? trace.setSpan(ROOT_CONTEXT, span) : ROOT_CONTEXT;
        const handle: Handler = (req, call) => context.with(traced, () => handler(req, call));
        void this.#run(life, handle, request, served.signal, method).then((outcome) => {
          unwatch();
          this.#carry(to, from.process, () => {
            // The answer travels to the life that asked; its successor knows nothing of it.
            this.world.after(from, 0, () =>
              end(() => ("error" in outcome ? reject(outcome.error) : resolve(outcome.value as Res))),
            );
          }) || broken();
        });
      };
      const fate = this.fate(method);
      if (fate === "lost") broken();
      else if (fate) {
        this.#arrive(to, fate.lateMs, serve);
        broken();
      } else if (!this.#carry(from.process, to, serve)) broken();
      else if (this.random.chance(this.weather.torn))
        this.world.after(from, this.random.between(0, 20), () => fail(gone(to)));
    });
  }

  /** Sends one message of a stream, behind the others of its lane unless it is late; false when it, or the connection, is lost. */
  send(from: Process, to: Process, lane: Lane, deliver: () => void): boolean {
    return this.#carry(from, to, deliver, lane);
  }

  #carry(from: Process, to: Process, deliver: () => void, lane?: Lane): boolean {
    const { weather, random } = this;
    if (this.cut.has(pair(from, to)) || random.chance(weather.lost)) return false;
    const isLate = random.chance(weather.late);
    const soonest = lane === undefined || isLate ? 0 : lane.atMs - this.world.nowMs;
    const ms = Math.max(soonest, isLate ? random.between(5, LATE_MS) : random.between(0.1, 2));
    if (lane && !isLate) lane.atMs = this.world.nowMs + ms;
    this.#arrive(to, ms, deliver);
    if (random.chance(weather.repeated)) this.#arrive(to, ms + random.between(0, LATE_MS / 4), deliver);
    return true;
  }

  #arrive(to: Process, ms: number, deliver: () => void): void {
    this.world.after(undefined, ms, () => {
      // A paused process has its mail waiting for it.
      if (to.pausedUntilMs > this.world.nowMs) this.#arrive(to, to.pausedUntilMs - this.world.nowMs, deliver);
      else deliver();
    });
  }

  #hangUp(from: Life, to: Process, served: AbortController): void {
    this.#carry(from.process, to, () =>
      this.world.after(to.life, 0, () =>
        served.abort(new Fault("CANCELLED", "CANCELLED", "the caller has gone")),
      ),
    );
  }

  #run(
    life: Life,
    handler: Handler,
    request: unknown,
    signal: AbortSignal,
    method: string,
  ): Promise<{ value: unknown } | { error: unknown }> {
    return new Promise((resolve) => {
      this.world.after(life, 0, () => {
        this.world.log(life.process.name, method);
        const work = async () => handler(request as never, { signal });
        calls.run({ method, request }, work).then(
          (value) => resolve({ value }),
          (error: unknown) => {
            this.world.log(life.process.name, `${method} fails`, () => describe(error));
            resolve({ error: error instanceof Fault ? error : internal(error) });
          },
        );
      });
    });
  }
}

/** A pair of processes, whichever comes first. */
export function pair(a: Process, b: Process): string {
  return a.name < b.name ? `${a.name} ${b.name}` : `${b.name} ${a.name}`;
}

function describe(error: unknown): string {
  return error instanceof Fault ? `${error.reason}: ${error.message}` : String(error);
}

function internal(cause: unknown): Fault {
  return new Fault("INTERNAL", "INTERNAL", "an internal error", {}, { cause });
}

function gone(to: Process): Fault {
  return new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", `${to.name} cannot be reached`);
}

function tooLate(method: string, ms: number): Fault {
  return new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", `${method} took longer than ${ms} ms`);
}
