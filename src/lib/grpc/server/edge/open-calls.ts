import type { ArrivingCall } from "./arriving-call.ts";
import { openCallOverdue, tooManyOpenCalls } from "./faults.ts";
import type { OpenLimits } from "./limits.ts";

/** Methods that have no end of their own. */
const WATCH = /\/(?:Watch|ServerReflectionInfo)$/;

/** Bounds the calls that show no token. */
export class OpenCalls {
  readonly #limits: OpenLimits;
  /** In the order of their arrival. */
  readonly #calls = new Set<ArrivingCall>();
  /** Addresses of the watches. */
  readonly #watches = new Map<ArrivingCall, string>();

  constructor(limits: OpenLimits) {
    this.#limits = limits;
  }

  /** Takes a call, or refuses it. Returns what is to be called when its stream has closed. */
  begin(call: ArrivingCall, address: string): () => void {
    const isWatch = WATCH.test(call.path);
    const timeoutMs = isWatch ? this.#limits.watchTimeoutMs : this.#limits.timeoutMs;
    if (isWatch) this.#beginWatch(call, address);
    else this.#beginCall(call);
    call.endAfter(timeoutMs, () => openCallOverdue(timeoutMs));
    return () => this.end(call);
  }

  /** Forgets a call that has ended or shown a token. */
  end(call: ArrivingCall): void {
    this.#calls.delete(call);
    this.#watches.delete(call);
  }

  /** The oldest makes room: a call that is sent whole ends within a moment. */
  #beginCall(call: ArrivingCall): void {
    const { calls } = this.#limits;
    const [oldest] = this.#calls;
    if (oldest && this.#calls.size >= calls) {
      this.end(oldest);
      oldest.refuse(tooManyOpenCalls(calls));
    }
    this.#calls.add(call);
  }

  #beginWatch(call: ArrivingCall, address: string): void {
    const { watches, watchesPerAddress } = this.#limits;
    const ofAddress = [...this.#watches.values()].filter((each) => each === address).length;
    if (ofAddress >= watchesPerAddress) call.refuse(tooManyOpenCalls(watchesPerAddress));
    else if (this.#watches.size >= watches) call.refuse(tooManyOpenCalls(watches));
    else this.#watches.set(call, address);
  }
}
