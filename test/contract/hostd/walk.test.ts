import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Machine } from "../../../src/hostd/machines/machine.ts";
import { canMove } from "../../../src/hostd/machines/states.ts";
import { durationToProto } from "../../../src/lib/grpc/messages/duration.ts";
import { startHost, type TestHost } from "./fixture.ts";

let host: TestHost;
beforeAll(async () => {
  host = await startHost({ limits: { killMs: 20 }, settings: { startConcurrency: 2 } });
});
afterAll(async () => {
  await host.close();
});

/** Reasons that requests may fail with; any other is a defect. */
const ALLOWED = new Set([
  "INVALID_STATE",
  "MACHINE_RUNNING",
  "MACHINE_NOT_FOUND",
  "INSUFFICIENT_CAPACITY",
  "EXEC_FAILED",
  "START_FAILED",
  "START_TIMEOUT",
  "ROLLED_BACK",
]);

const RESTING: ReadonlySet<string> = new Set(["created", "started", "stopped", "failed", "destroyed"]);

const exec = fc.constantFrom(
  ["/bin/server"],
  ["sim-exit", "0", "sim-run-for", "3"],
  ["sim-exit", "1"],
  ["sim-signal-ignore"],
  ["sim-exec-fail", "not_found"],
  ["sim-lost", "sim-run-for", "2"],
  ["sim-vmm-fail"],
);
const policy = fc.constantFrom(
  undefined,
  { policy: "always", maxRetries: 1 },
  { policy: "on-failure", maxRetries: 1 },
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("start" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("stop" as const), timeoutMs: fc.constantFrom(0, 5) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("destroy" as const), force: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("restart" as const), forceStop: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("update" as const),
      exec,
      launch: fc.boolean(),
      skipLaunch: fc.boolean(),
      rollback: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("break" as const),
      what: fc.constantFrom("launch" as const, "destroy" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("pause" as const), ms: fc.integer({ min: 0, max: 4 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Request = Exclude<Step, { kind: "pause" | "break" }>;
const walk = fc.array(fc.record({ machine: fc.nat({ max: 2 }), step }), { minLength: 1, maxLength: 25 });

test("any sequence of requests ends in a legal state and leaks nothing", async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(exec, exec, exec), policy, walk, async (programs, restart, steps) => {
      const ids: string[] = [];
      // One after the other: their holds would not fit together.
      for (const program of programs)
        ids.push((await host.created({ exec: [...program], memoryMb: 768, config: { restart } })).id);
      const moves: string[] = [];
      const leave = ids.map((id) => watch(id, moves));
      const answers: Promise<string>[] = [];
      for (const { machine, step: one } of steps) {
        const id = ids[machine] ?? "";
        if (one.kind === "pause") await new Promise((resolve) => setTimeout(resolve, one.ms));
        else if (one.kind === "break") host.sim.failNext(one.what);
        else {
          const answer = ask(id, one);
          // Handled at once: some are refused long before the walk ends.
          answers.push(
            answer.then(
              () => "",
              (err: { reason: string }) => err.reason,
            ),
          );
        }
      }
      const reasons = (await Promise.all(answers)).filter((reason) => reason !== "");
      host.sim.failNext("launch", 0);
      host.sim.failNext("destroy", 0);
      await host.host.teardowns.all();

      expect(moves.filter((move) => move.startsWith("illegal"))).toEqual([]);
      expect(reasons.filter((reason) => !ALLOWED.has(reason))).toEqual([]);
      // Programs still end by themselves, and teardowns are retried.
      await expect.poll(() => unrest(ids), { interval: 2, timeout: 20_000 }).toEqual([]);

      await Promise.all(ids.map((id) => host.destroy(id, { force: true })));
      await host.host.teardowns.all();
      expect(await host.sim.list()).toEqual([]);
      expect(host.host.ledger.sums().allocated).toEqual({ cpus: 0, memoryMb: 0, diskMb: 0 });
      expect(host.host.starts.running + host.host.starts.length).toBe(0);
      expect([...host.images.pins]).toEqual([]);
      for (const end of leave) end();
    }),
    { numRuns: 60, endOnFailure: true },
  );
}, 120_000);

/** Sends a request of a walk. */
function ask(id: string, one: Request): Promise<unknown> {
  switch (one.kind) {
    case "start":
      return host.start(id, { watchMs: 0 });
    case "stop":
      return host.stop(id, { timeoutMs: one.timeoutMs });
    case "restart":
      return host.restart(id, { forceStop: one.forceStop, timeout: durationToProto(5) });
    case "update": {
      const { kind: _, exec: program, ...options } = one;
      const config = { stopConfig: { timeout: durationToProto(5) } };
      const readyTimeout = durationToProto(3);
      return host.update(id, { ...options, memoryMb: 768, exec: program, config, readyTimeout });
    }
    case "destroy":
      return host.destroy(id, { force: one.force });
  }
}

/** Returns violations at rest: exactly the running machines have a VM, and CPU and memory in the ledger. */
function unrest(ids: readonly string[]): string[] {
  const machines = ids.map((id) => host.host.store.get(id)).filter((machine) => machine !== undefined);
  const odd = machines.filter(
    ({ state, vmId, update }) =>
      !RESTING.has(state) || (vmId !== undefined) !== (state === "started") || update !== undefined,
  );
  const running = machines.filter(({ vmId }) => vmId !== undefined).length;
  const { cpus, memoryMb } = host.host.ledger.sums().running;
  const isCounted = cpus === running && memoryMb === 768 * running;
  return [
    ...odd.map(({ id, state }) => `${id} ${state}`),
    ...(isCounted ? [] : [`${running} run, ${cpus} CPUs and ${memoryMb} MB are counted`]),
  ];
}

/** Collects the changes of a machine's state that the table does not allow. */
function watch(id: string, moves: string[]): () => void {
  let last: Machine | undefined = host.host.store.get(id);
  return host.host.store.subscribe(id, (machine) => {
    const isLegal = last === undefined || last.state === machine.state || canMove(last.state, machine.state);
    const isNext = last === undefined || machine.generation === last.generation + 1;
    moves.push(`${isLegal && isNext ? "" : "illegal "}${last?.state} ${machine.state}`);
    last = machine;
  });
}
