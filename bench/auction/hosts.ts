/**
 * A process of simulated hosts for `bench -- auction`: each has the real ledger and the real stream to the scheduler, over a connection of
 * its own. What is simulated is that there are no machines and no VMs. Started by `host-process.ts`.
 */

import { Scheduling } from "../../src/gen/windhover/scheduler/v1/host.ts";
import { type Attachment, attachToSchedulers, Ledger } from "../../src/hostd/index.ts";
import { internalTokens } from "../../src/lib/auth/tokens.ts";
import { systemClock } from "../../src/lib/runtime/clock.ts";
import { createLogger } from "../../src/lib/runtime/log.ts";
import { type AwardJob, type HostJob, type HostSettings, type HostWord, REGION } from "./host-job.ts";

const CAPACITY = { cpus: 1_024, memoryMb: 4_194_304, diskMb: 16_777_216 };
/** Hosts that attach at once: a fleet comes up over seconds, and what is measured is not that. */
const AT_ONCE = 100;

const settings = JSON.parse(process.argv[2] ?? "{}") as HostSettings;
const say = (word: HostWord) => process.send?.(word);
const token = internalTokens(settings.signingKey, "hostd");
createLogger("hosts", { write: () => {} });
const end = new AbortController();
const ledgers = new Map<number, Ledger>();
let messages = 0;

process.on("message", (job: HostJob) => {
  if (job.kind === "count") say({ kind: "counted", messages });
  else award(job.id, job.award);
});
process.on("disconnect", () => process.exit(0));

const attachments: Attachment[] = [];
for (let i = 0; i < settings.count; i++) {
  attachments.push(attach(settings.first + i));
  if (attachments.length % AT_ONCE === 0) await attached();
}
await attached();
say({ kind: "attached", hosts: attachments.length });

function attach(number: number) {
  const ledger = new Ledger({ capacity: CAPACITY, incarnation: 1, graceMs: 1_000, clock: systemClock });
  ledgers.set(number, ledger);
  const amounts = {
    cpus: CAPACITY.cpus,
    memoryMb: BigInt(CAPACITY.memoryMb),
    diskMb: BigInt(CAPACITY.diskMb),
  };
  const nothing = { cpus: 0, memoryMb: 0n, diskMb: 0n };
  const who = { number, name: `host-${number}`, identity: `identity-${number}`, region: REGION, zone: "a" };
  const what = { vmm: "sim 1", acceleration: "none", isolation: "development", vmmReason: "a benchmark" };
  return attachToSchedulers({
    addresses: [settings.address],
    hello: () => ({ ...who, ...what, address: `127.0.0.1:${number}`, capacity: amounts, labels: {} }),
    // Differs from the one before while auctions go on, as a real one does.
    status: () => ({
      ...{ held: held(ledger), allocated: nothing, running: nothing, machines: {}, load: 0.1, warmVms: 0 },
      scheduling: Scheduling.OPEN,
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
    ...{ token, signal: end.signal },
  });
}

function held(ledger: Ledger) {
  const { cpus, memoryMb, diskMb } = ledger.sums().held;
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}

/** The hold becomes an allocation, and is given back: a machine that comes and goes. */
function award(id: number, { host, reservationId, epoch }: AwardJob): void {
  try {
    const ledger = ledgers.get(host);
    if (!ledger) throw new Error(`there is no host ${host} here`);
    ledger.award(reservationId, BigInt(epoch), reservationId, 0);
    ledger.forget(reservationId);
    say({ kind: "awarded", id });
  } catch (err) {
    say({ kind: "awarded", id, problem: err instanceof Error ? err.message : String(err) });
  }
}

async function attached(): Promise<void> {
  while (!attachments.every((one) => one.replicas().every((replica) => replica.attached)))
    await new Promise((resolve) => setTimeout(resolve, 5));
}
