import type { AttachRequest, AttachResponse } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { serverDraining } from "../../lib/grpc/draining.ts";
import type { Wire, WireUser } from "../../lib/grpc/wire.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { logger } from "../../lib/runtime/log.ts";
import { toDecline, toHostInfo, toHostStatus, toOffer } from "../convert.ts";
import type { AttachedHost, HostInfo } from "./attached-host.ts";
import type { Hosts } from "./hosts.ts";
import { HostLine } from "./service-stream.ts";

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

/** One host's stream from hello to its end. */
export class Attachment implements WireUser<AttachRequest> {
  readonly #wire: Wire<AttachResponse>;
  readonly #draining: AbortSignal;
  readonly #hosts: Hosts;
  readonly #replica: Replica;
  readonly #line: HostLine;
  #onDrain: Disposable | undefined;
  #host: AttachedHost | undefined;
  /** Until hello has come, and again once the server is shutting down. */
  #timer: NodeJS.Timeout | undefined;

  constructor(wire: Wire<AttachResponse>, draining: AbortSignal, hosts: Hosts, replica: Replica) {
    this.#wire = wire;
    this.#draining = draining;
    this.#hosts = hosts;
    this.#replica = replica;
    this.#line = new HostLine(wire);
    this.#timer = setTimeout(() => wire.fail(helloExpected("none came in time")), HELLO_MS);
  }

  received(request: AttachRequest): void {
    if (this.#host) heard(request, this.#hosts, this.#host);
    else this.#greet(request);
  }

  drained(): void {
    this.#line.drained();
  }

  finished(): void {
    if (this.#host) this.#line.close();
    else this.#wire.fail(helloExpected("the stream has ended"));
  }

  closed(): void {
    clearTimeout(this.#timer);
    this.#onDrain?.[Symbol.dispose]();
    this.#line.close();
    if (!this.#host) return;
    // At once: auctions wait for this host.
    this.#hosts.detach(this.#host);
    logger.info("a host has detached", facts(this.#host.info));
  }

  #greet({ message }: AttachRequest): void {
    if (message?.$case !== "hello") throw helloExpected("another message came first");
    clearTimeout(this.#timer);
    this.#host = this.#hosts.attach(toHostInfo(message.value, this.#replica.region), this.#line);
    logger.info("a host has attached", facts(this.#host.info));
    this.#wire.send({ message: { $case: "welcome", value: { scheduler: this.#replica.name } } });
    this.#onDrain = onAbort(this.#draining, () => this.#leaveSoon());
  }

  /** At shutdown, ends the stream when the auctions that are under way have ended, not before: they need their hosts. */
  #leaveSoon(): void {
    this.#timer = setTimeout(
      () => this.#line.end(serverDraining("the scheduler is shutting down")),
      this.#replica.windowMs + FAREWELL_MS,
    );
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

function facts({ name, number, address }: HostInfo): Record<string, unknown> {
  return { host: name, number, address };
}

function helloExpected(what: string): Fault {
  return new Fault("INVALID_ARGUMENT", "HELLO_EXPECTED", `one hello must come first: ${what}`, { what });
}
