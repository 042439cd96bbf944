import type { ExecMachineRequest, ExecMachineResponse } from "../../gen/windhover/machines/v1/exec.ts";
import { type PaceOptions, Paces } from "../../lib/limits/paces.ts";

/** Bytes of input and output that the commands of one organisation have. Their programs wait for more. */
const BYTES = { perSecond: 32 * 1_024 * 1_024, burst: 64 * 1_024 * 1_024 };
/** What a message counts besides its bytes: it takes the thread that serves starts as long as many bytes do. */
const MESSAGE_BYTES = 4 * 1_024;

/** Slows down the commands of organisations that send or write more than others can stand. */
export class ExecPaces {
  readonly #paces: Paces;

  constructor(options: Pick<PaceOptions, "clock"> & Partial<PaceOptions>) {
    this.#paces = new Paces({ ...BYTES, ...options });
  }

  /** Waits after a message until its organisation may have the next. Returns early when `signal` aborts. */
  take(org: string, message: Message, signal: AbortSignal): Promise<void> {
    return this.#paces.take(org, MESSAGE_BYTES + sizeOf(message), signal);
  }
}

type Message = ExecMachineRequest["message"] | ExecMachineResponse["message"];

function sizeOf(message: Message): number {
  switch (message?.$case) {
    case "stdin":
    case "stdout":
    case "stderr":
      return message.value.length;
    default:
      return 0;
  }
}
