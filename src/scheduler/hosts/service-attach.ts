import type { AttachRequest, AttachResponse } from "../../gen/windhover/scheduler/v1/attach.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { serverDraining } from "../../lib/grpc/draining.ts";
import type { Wire, WireUser } from "../../lib/grpc/wire.ts";
import { onAbort } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { AttachedHost, HostInfo } from "./attached-host.ts";
import { declineFromProto, hostInfoFromProto, offerFromProto, statusFromProto } from "./convert.ts";
import type { Hosts } from "./hosts.ts";
import { WireStream } from "./service-stream.ts";

/** How long a host may take to send hello. */
const HELLO_TIMEOUT_MS = 5_000;
/** On top of the bid window at shutdown, for the last releases to go out. */
const LAST_RELEASES_MS = 100;

/** This scheduler, as hosts see it. */
export interface Replica {
  readonly name: string;
  readonly region: string;
  readonly windowMs: number;
}

/** One host's stream from hello to its end. */
export class Attachment implements WireUser<AttachRequest> {
  readonly #wire: Wire<AttachResponse>;
  readonly #draining: AbortSignal;
  readonly #hosts: Hosts;
  readonly #replica: Replica;
  readonly #stream: WireStream;
  #onDrain: Disposable | undefined;
  #host: AttachedHost | undefined;
  /** Ends the stream: when hello is late, and at shutdown. */
  #timer: NodeJS.Timeout | undefined;

  constructor(wire: Wire<AttachResponse>, draining: AbortSignal, hosts: Hosts, replica: Replica) {
    this.#wire = wire;
    this.#draining = draining;
    this.#hosts = hosts;
    this.#replica = replica;
    this.#stream = new WireStream(wire);
    this.#timer = setTimeout(() => wire.fail(helloExpected("none came in time")), HELLO_TIMEOUT_MS);
  }

  received(request: AttachRequest): void {
    if (this.#host) receive(request, this.#hosts, this.#host);
    else this.#attach(request);
  }

  drained(): void {
    this.#stream.drained();
  }

  finished(): void {
    if (this.#host) this.#stream.close();
    else this.#wire.fail(helloExpected("the stream has ended"));
  }

  closed(): void {
    clearTimeout(this.#timer);
    this.#onDrain?.[Symbol.dispose]();
    this.#stream.close();
    if (!this.#host) return;
    this.#hosts.detach(this.#host);
    logger.info("a host has detached", facts(this.#host.info));
  }

  #attach({ message }: AttachRequest): void {
    if (message?.$case !== "hello") throw helloExpected("another message came first");
    clearTimeout(this.#timer);
    this.#host = this.#hosts.attach(hostInfoFromProto(message.value, this.#replica.region), this.#stream);
    logger.info("a host has attached", facts(this.#host.info));
    this.#wire.send({ message: { $case: "welcome", value: { scheduler: this.#replica.name } } });
    this.#onDrain = onAbort(this.#draining, () => this.#endSoon());
  }

  /** Ends the stream after the auctions under way, which need their hosts. */
  #endSoon(): void {
    this.#timer = setTimeout(
      () => this.#stream.end(serverDraining("the scheduler is shutting down")),
      this.#replica.windowMs + LAST_RELEASES_MS,
    );
  }
}

function receive({ message }: AttachRequest, hosts: Hosts, host: AttachedHost): void {
  if (message?.$case === "hello") throw helloExpected("a second one came");
  // A message that only a newer version knows shows that the host is alive.
  host.seen(message?.$case === "status" ? statusFromProto(message.value) : undefined);
  if (message?.$case === "offer") {
    const { offer, reservationId } = message.value;
    // Without an offer in it there is nothing to award.
    if (offer) host.receiveAnswer(reservationId, { kind: "offer", offer: offerFromProto(offer, host.info) });
  } else if (message?.$case === "decline") {
    const decline = declineFromProto(message.value);
    host.receiveAnswer(message.value.reservationId, { kind: "decline", decline });
  } else if (message?.$case === "localImages") {
    hosts.setImages(host, message.value.hints);
  }
}

function facts({ name, number, address }: HostInfo): Record<string, unknown> {
  return { host: name, number, address };
}

function helloExpected(problem: string): Fault {
  const message = `hello must come first, and once: ${problem}`;
  return new Fault("INVALID_ARGUMENT", "HELLO_EXPECTED", message, { what: problem });
}
