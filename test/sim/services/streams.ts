import type { AttachRequest, AttachResponse } from "../../../src/gen/windhover/scheduler/v1/attach.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { hand, type Wire, type WireUser } from "../../../src/lib/grpc/wire.ts";
import type { Lane, Network } from "../world/network.ts";
import type { Life, Process } from "../world/world.ts";

/** One end's inbox: what has arrived, in the order of arrival. */
class Inbox<T> implements AsyncIterable<T> {
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

/** The served side of a stream: by default, a scheduler's of a host's. */
export interface Server<Up = AttachRequest, Down = AttachResponse> {
  serve(wire: Wire<Down>): WireUser<Up>;
}

/** The side that has opened a stream. */
export interface ClientStream<Up = AttachRequest, Down = AttachResponse> {
  readonly messages: AsyncIterable<Down>;
  write(message: Up): void;
  end(): void;
}

/** How often a message that is lost takes its stream with it. In the other cases only the message is gone, which real streams do not do. */
const BREAKS = 0.5;

/** Opens a stream from a host to a scheduler that may not be there. It ends when either dies, and when a message breaks it. */
export function openStream<Up = AttachRequest, Down = AttachResponse>(
  net: Network,
  host: Life,
  scheduler: Process,
  serverOf: (life: Life) => Server<Up, Down> | undefined,
): ClientStream<Up, Down> {
  const { world, random } = net;
  const [up, down]: [Lane, Lane] = [{ atMs: 0 }, { atMs: 0 }];
  const responses = new Inbox<Down>();
  let server: Life | undefined;
  /** The server's end, once it serves. */
  let served: { receive(message: Up): void; over(fault?: Fault): void } | undefined;
  const breakUp = (): void => {
    world.after(host, random.between(0, 500), () => responses.end(broken()));
    if (server) world.after(server, random.between(0, 500), () => served?.over(broken()));
  };
  const send = (from: Process, to: Process, lane: Lane, deliver: () => void): void => {
    if (!net.send(from, to, lane, deliver) && random.chance(BREAKS)) breakUp();
  };
  const toHost = (deliver: () => void): void =>
    send(scheduler, host.process, down, () => world.after(host, 0, deliver));
  const open = (life: Life, serving: Server<Up, Down>): void => {
    let isOver = false;
    let user: WireUser<Up> | undefined;
    const over = (fault?: Fault): void => {
      if (isOver) return;
      isOver = true;
      user?.closed(fault);
      life.world.note("stream ended");
    };
    const end = (fault?: Fault): void => {
      if (isOver) return;
      toHost(() => responses.end(fault));
      over(fault);
    };
    const opened = serving.serve({
      send: (message) => {
        if (!isOver) toHost(() => responses.push(message));
        return true;
      },
      end,
      fail: end,
    });
    user = opened;
    served = {
      receive: (message) => {
        if (!isOver) hand(opened, message, end);
      },
      over,
    };
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
    world.after(life, 0, () => open(life, serving));
  };
  host.onDeath(breakUp);
  send(host.process, scheduler, up, begin);
  const stream: ClientStream<Up, Down> = {
    messages: responses,
    write: (message) =>
      send(host.process, scheduler, up, () => {
        if (server) world.after(server, 0, () => served?.receive(message));
      }),
    end: breakUp,
  };
  return stream;
}

function broken(): Fault {
  return new Fault("UNAVAILABLE", "PEER_UNAVAILABLE", "the stream broke");
}
