import type { AttachRequest, AttachResponse } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { Fault } from "../../lib/faults/fault.ts";
import type { Wire, WireUser } from "../../lib/grpc/wire.ts";
import { every } from "../../lib/runtime/lifecycle.ts";
import type { AttachOptions } from "./attach-client.ts";
import { answerBid } from "./convert-bid.ts";
import { ImageNews, STATUS_MS, StatusPace } from "./status-pace.ts";

/** What a {@link Conversation} needs. */
export interface ConversationOptions
  extends Pick<AttachOptions, "hello" | "status" | "bid" | "release" | "images" | "logger" | "signal"> {
  readonly welcomed: (scheduler: string) => void;
  /** The stream has ended. Called once. */
  readonly closed: (fault: Fault | undefined) => void;
}

/** What a host and a scheduler say to each other on one stream, from hello to its end. */
export class Conversation implements WireUser<AttachResponse> {
  readonly #wire: Wire<AttachRequest>;
  readonly #options: ConversationOptions;
  readonly #pace = new StatusPace();
  readonly #news = new ImageNews();
  /** The scheduler does not read. */
  #isBehind = false;
  #owesStatus = false;

  constructor(wire: Wire<AttachRequest>, options: ConversationOptions) {
    this.#wire = wire;
    this.#options = options;
    this.#say({ $case: "hello", value: options.hello() });
  }

  received({ message }: AttachResponse): void {
    switch (message?.$case) {
      case "bidRequest":
        // A scheduler that does not read has no use for an answer, and nothing is held for it.
        if (!this.#isBehind) this.#say(answerBid(message.value, this.#options.bid).message);
        break;
      case "holdRelease":
        this.#release(message.value.reservationIds);
        break;
      case "welcome":
        this.#options.welcomed(message.value.scheduler);
        void this.#tellAll();
        break;
      default:
      // Something newer than this version.
    }
  }

  drained(): void {
    this.#isBehind = false;
    if (this.#owesStatus) this.tellStatus();
  }

  finished(): void {
    // The stream's end follows.
  }

  closed(fault: Fault | undefined): void {
    this.#options.closed(fault);
  }

  /** Sends the status, if it has changed; to a scheduler that does not read, once it does. */
  tellStatus(): void {
    this.#owesStatus = this.#isBehind;
    if (this.#isBehind) return;
    const status = this.#options.status();
    if (this.#pace.isDue(status, performance.now())) this.#say({ $case: "status", value: status });
  }

  /** Sends from time to time the status, which also keeps the host from being forgotten, and which images it has. */
  async #tellAll(): Promise<void> {
    const { signal, logger } = this.#options;
    const tell = () => {
      this.tellStatus();
      this.#tellImages();
    };
    await every(STATUS_MS, 0, tell, signal, { name: "tell the scheduler our status", log: logger });
  }

  #tellImages(): void {
    const hints = this.#options.images?.() ?? [];
    if (this.#isBehind || !this.#news.isDue(hints)) return;
    this.#say({ $case: "localImages", value: { hints: [...hints] } });
  }

  #release(reservationIds: readonly string[]): void {
    try {
      this.#options.release(reservationIds);
    } catch (error) {
      this.#options.logger.error("holds could not be released", { error });
    }
  }

  #say(message: AttachRequest["message"]): void {
    if (!this.#wire.send({ message })) this.#isBehind = true;
  }
}
