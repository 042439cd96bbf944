import {
  AttachProxyRequest,
  type HostServiceClient,
  type RoutedMachine,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { Fault } from "../../../../src/lib/faults/fault.ts";

import { durationFromProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { openWire, type Wire } from "../../../../src/lib/grpc/wire.ts";

/** A proxy that is attached to a host, and what it has heard. */
export class AttachedProxy {
  /** The last word about each machine. */
  readonly machines = new Map<string, RoutedMachine>();
  /** All words, in their order. */
  readonly heard: RoutedMachine[] = [];
  readonly used = new Set<string>();
  lostUseMs: number | undefined;
  messages = 0;
  /** Undefined while the stream lasts; null when it has ended without a fault. */
  fault: Fault | null | undefined;
  readonly #wire = Promise.withResolvers<Wire<AttachProxyRequest>>();
  readonly #cancel = new AbortController();

  constructor(client: HostServiceClient, proxyId: string) {
    openWire(
      client,
      client.attachProxy,
      { timeoutMs: Number.POSITIVE_INFINITY, signal: this.#cancel.signal },
      (wire) => {
        this.#wire.resolve(wire);
        return {
          received: ({ machines, usedIds, lostUseTime }) => {
            this.messages += 1;
            if (lostUseTime) this.lostUseMs = durationFromProto(lostUseTime);
            this.heard.push(...machines);
            for (const machine of machines) this.machines.set(machine.id, machine);
            for (const id of usedIds) this.used.add(id);
          },
          drained: () => {},
          finished: () => {},
          closed: (fault) => {
            this.fault = fault ?? null;
          },
        };
      },
    );
    void this.say({ proxyId });
  }

  async say(fields: Partial<AttachProxyRequest>): Promise<void> {
    (await this.#wire.promise).send(AttachProxyRequest.create(fields));
  }

  /** Breaks the stream. */
  leave(): void {
    this.#cancel.abort();
  }
}
