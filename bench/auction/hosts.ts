/** A process of simulated hosts, with the real ledger and the real stream to the scheduler. */
import { setTimeout as delay } from "node:timers/promises";
import { Scheduling } from "../../src/gen/windhover/scheduler/v1/host.ts";
import { type Attachment, attachToSchedulers, Ledger } from "../../src/hostd/index.ts";
import { internalTokens } from "../../src/lib/auth/tokens.ts";
import { systemClock } from "../../src/lib/runtime/clock.ts";
import { createLogger } from "../../src/lib/runtime/log.ts";
import { serve } from "../lib/child.ts";

export type HostFunctions = typeof functions;

const CAPACITY = { cpus: 1_024, memoryMb: 4_194_304, diskMb: 16_777_216 };
/** Hosts that attach at once. */
const AT_ONCE = 100;

createLogger("hosts", { write: () => {} });
const { signal } = new AbortController();
const ledgers = new Map<number, Ledger>();
let messages = 0;

const functions = {
  /** Attaches `count` hosts, numbered from `first` on. `signingKey` is in PEM. */
  async attach(address: string, signingKey: string, region: string, first: number, count: number) {
    const token = internalTokens(signingKey, "hostd");
    const attachments: Attachment[] = [];
    while (attachments.length < count) {
      for (let i = 0; i < AT_ONCE && attachments.length < count; i++)
        attachments.push(attachHost(first + attachments.length, region, address, token));
      while (!attachments.every((each) => each.replicas().every((replica) => replica.attached)))
        await delay(5);
    }
  },
  /** Turns a hold into an allocation and ends that: a machine is created and destroyed. */
  award(host: number, reservationId: string, epoch: bigint): void {
    const ledger = ledgers.get(host);
    if (!ledger) throw new Error(`there is no host ${host} here`);
    ledger.award(reservationId, epoch, reservationId, 0);
    ledger.forget(reservationId);
  },
  /** Counts bids, answers and releases so far. */
  messages: () => messages,
};
serve(functions);

function attachHost(
  number: number,
  region: string,
  address: string,
  token: ReturnType<typeof internalTokens>,
): Attachment {
  const ledger = new Ledger({ capacity: CAPACITY, incarnation: 1, graceMs: 1_000, clock: systemClock });
  ledgers.set(number, ledger);
  const nothing = { cpus: 0, memoryMb: 0n, diskMb: 0n };
  const identity = {
    ...{ number, name: `host-${number}`, identity: `identity-${number}`, region, zone: "a" },
    ...{ vmm: "sim 1", acceleration: "none", isolation: "development", vmmReason: "a benchmark" },
    ...{ address: `127.0.0.1:${number}`, capacity: toProto(CAPACITY), labels: new Map<string, string>() },
  };
  return attachToSchedulers({
    addresses: [address],
    hello: () => identity,
    // Changes while auctions run, as a real one does.
    status: () => ({
      ...{
        held: toProto(ledger.sums().held),
        allocated: nothing,
        running: nothing,
        machines: new Map<string, number>(),
      },
      ...{ load: 0.1, warmVms: 0, scheduling: Scheduling.OPEN },
    }),
    bid: ({ reservationId, resources, holdMs }) => {
      messages += 2;
      const answer = ledger.hold(reservationId, resources, holdMs);
      if (answer.kind === "declined")
        return { kind: "decline", reason: answer.reason, largest: answer.largest };
      const { epoch, freeAfter } = answer;
      const hints = { imageLocal: false, load: 0.1, warmVms: 0, machines: 0, appMachines: 0, inFlight: 0 };
      return { kind: "offer", epoch, freeAfter, ...hints };
    },
    release: (ids) => {
      messages += 1;
      ledger.release(ids);
    },
    ...{ token, signal },
  });
}

function toProto({ cpus, memoryMb, diskMb }: typeof CAPACITY) {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}
