import type { AttachRequest, AttachResponse } from "../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../src/lib/fault.ts";
import type { Lane, Network } from "./network.ts";
import type { Life, Process } from "./world.ts";

/** One end's inbox: what has arrived, in the order of arrival. */
export class Inbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;
  #end: { readonly fault: Fault | undefined } | undefined;

  push(item: T): void {
    if (!this.#end) this.#items.push(item);
    this.#wake?.();
  }

  end(fault?: Fault): void {
    this.#end ??= { fault };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#end?.fault) throw this.#end.fault;
      else if (this.#end) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}

/** A scheduler's side of a host's stream. */
export interface Server {
  serve(requests: AsyncIterable<AttachRequest>, signal: AbortSignal): AsyncIterable<AttachResponse>;
}

/** A host's side of its stream to a scheduler. */
export interface HostStream {
  readonly messages: AsyncIterable<AttachResponse>;
  write(message: AttachRequest): void;
  end(): void;
}

/** How often a message that is lost takes its stream with it. In the other cases only the message is gone, which real streams do not do. */
const BREAKS = 0.5;

/** Opens a stream from a host to a scheduler that may not be there. It ends when either dies, and when a message breaks it. */
export function openStream(
  net: Network,
  host: Life,
  scheduler: Process,
  serverOf: (life: Life) => Server | undefined,
) {
  const { world, random } = net;
  const [up, down]: [Lane, Lane] = [{ atMs: 0 }, { atMs: 0 }];
  const requests = new Inbox<AttachRequest>();
  const responses = new Inbox<AttachResponse>();
  const abort = new AbortController();
  let server: Life | undefined;
  const breakUp = (): void => {
    world.after(host, random.between(0, 500), () => responses.end(broken()));
    const life = server;
    if (life)
      world.after(life, random.between(0, 500), () => {
        requests.end(broken());
        abort.abort(broken());
      });
  };
  const send = (from: Process, to: Process, lane: Lane, deliver: () => void): void => {
    if (!net.send(from, to, lane, deliver) && random.chance(BREAKS)) breakUp();
  };
  const answer = async (life: Life, serving: Server): Promise<void> => {
    try {
      for await (const message of serving.serve(requests, abort.signal)) {
        send(scheduler, host.process, down, () => world.after(host, 0, () => responses.push(message)));
      }
      send(scheduler, host.process, down, () => world.after(host, 0, () => responses.end()));
    } catch (err) {
      const fault = err instanceof Fault ? err : broken();
      send(scheduler, host.process, down, () => world.after(host, 0, () => responses.end(fault)));
    }
    life.world.note("stream ended");
  };
  const begin = (): void => {
    if (server) return;
    const life = scheduler.life;
    const serving = life && serverOf(life);
    if (!life || !serving) {
      breakUp();
      return;
    }
    server = life;
    life.onDeath(breakUp);
    world.after(life, 0, () => void answer(life, serving));
  };
  host.onDeath(breakUp);
  send(host.process, scheduler, up, begin);
  const stream: HostStream = {
    messages: responses,
    write: (message) =>
      send(host.process, scheduler, up, () => {
        if (server) world.after(server, 0, () => requests.push(message));
      }),
    end: breakUp,
  };
  return stream;
}

function broken(): Fault {
  return new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "the stream broke");
}
