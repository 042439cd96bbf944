import type { AttachRequest, AttachResponse } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../lib/fault.ts";
import { logger } from "../lib/log.ts";
import type { CallContext } from "../lib/rpc.ts";
import { within } from "../lib/wait.ts";
import { type Down, HostQueue } from "./adapters/host-stream.ts";
import { fromBid, toDecline, toHostInfo, toHostStatus, toOffer } from "./convert.ts";
import type { AttachedHost, HostInfo } from "./domain/attached-host.ts";
import type { Hosts } from "./domain/hosts.ts";

/** A host that has connected and says nothing is let go. */
const HELLO_MS = 5_000;

/** Who this scheduler is. */
export interface Replica {
  /** For logs. */
  readonly name: string;
  readonly region: string;
  /** When an auction ends at the latest. */
  readonly windowMs: number;
}

/** On top of the bid window, for the last releases to go out. */
const FAREWELL_MS = 100;

/** Serves one host's stream from hello to its end. */
export async function* attach(
  requests: AsyncIterable<AttachRequest>,
  ctx: CallContext,
  hosts: Hosts,
  replica: Replica,
): AsyncGenerator<AttachResponse> {
  const incoming = requests[Symbol.asyncIterator]();
  const info = await greet(incoming, replica.region, ctx.signal);
  const queue = new HostQueue();
  const host = hosts.attach(info, queue);
  const facts = { host: info.name, number: info.number, address: info.address };
  logger.info("a host has attached", facts);
  void listen(incoming, hosts, host, queue);
  const stay = stayForAuctions(queue, ctx.draining, replica.windowMs + FAREWELL_MS);
  try {
    yield { message: { $case: "welcome", value: { scheduler: replica.name } } };
    for await (const down of queue) yield toResponse(down);
  } finally {
    stay.cancel();
    hosts.detach(host);
    logger.info("a host has detached", facts);
  }
}

/** At shutdown, ends the stream when the auctions that are under way have ended, not before: they need their hosts. */
function stayForAuctions(queue: HostQueue, draining: AbortSignal, ms: number): { cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const leave = () => {
    timer = setTimeout(() => queue.end(drained()), ms);
  };
  if (draining.aborted) leave();
  else draining.addEventListener("abort", leave, { once: true });
  return {
    cancel() {
      draining.removeEventListener("abort", leave);
      clearTimeout(timer);
    },
  };
}

async function greet(
  incoming: AsyncIterator<AttachRequest>,
  region: string,
  signal: AbortSignal,
): Promise<HostInfo> {
  const first = await within(HELLO_MS, "waiting for a host's hello", () => incoming.next(), signal).catch(
    (cause: unknown) => {
      throw signal.aborted ? cause : helloExpected("none came in time");
    },
  );
  const message = first.done ? undefined : first.value.message;
  if (message?.$case !== "hello") throw helloExpected("another message came first");
  return toHostInfo(message.value, region);
}

/** Takes in what a host says until it stops; never throws. */
async function listen(
  incoming: AsyncIterator<AttachRequest>,
  hosts: Hosts,
  host: AttachedHost,
  queue: HostQueue,
): Promise<void> {
  try {
    for (let next = await incoming.next(); !next.done; next = await incoming.next()) {
      heard(next.value, hosts, host);
    }
    queue.close();
  } catch (err) {
    queue.end(err instanceof Fault ? err : streamFailed(err));
  } finally {
    // At once, not when the other direction has noticed: auctions wait for this host.
    hosts.detach(host);
  }
}

function heard({ message }: AttachRequest, hosts: Hosts, host: AttachedHost): void {
  switch (message?.$case) {
    case "status":
      hosts.heard(host, toHostStatus(message.value));
      break;
    case "offer": {
      hosts.heard(host);
      const { offer, reservationId } = message.value;
      // Without an offer in it there is nothing to award.
      if (offer) host.answered(reservationId, { kind: "offer", offer: toOffer(offer, host.info) });
      break;
    }
    case "decline":
      hosts.heard(host);
      host.answered(message.value.reservationId, { kind: "decline", decline: toDecline(message.value) });
      break;
    case "localImages":
      hosts.heard(host);
      hosts.heardImages(host, message.value.hints);
      break;
    case "hello":
      throw helloExpected("a second one came");
    default:
      // Something newer than this version: the host is alive, and that is all it says to us.
      hosts.heard(host);
  }
}

function toResponse(down: Down): AttachResponse {
  return down.kind === "bid"
    ? { message: { $case: "bidRequest", value: fromBid(down.bid, down.terms) } }
    : { message: { $case: "holdRelease", value: { reservationIds: down.reservationIds } } };
}

function helloExpected(what: string): Fault {
  return new Fault("INVALID_ARGUMENT", "HELLO_EXPECTED", `one hello must come first: ${what}`, { what });
}

function drained(): Fault {
  return new Fault(
    "UNAVAILABLE",
    "SERVER_DRAINING",
    "the scheduler is shutting down",
    {},
    { retryAfterMs: 500 },
  );
}

function streamFailed(cause: unknown): Fault {
  return new Fault("UNAVAILABLE", "STREAM_FAILED", "the host's stream has failed", {}, { cause });
}
