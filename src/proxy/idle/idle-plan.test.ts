import fc from "fast-check";
import { expect, test } from "vitest";
import { type IdleMachine, planIdleStops, togetherOf } from "./idle-plan.ts";

function machine(id: string, change: Partial<IdleMachine> = {}): IdleMachine {
  return {
    ...{ id, autostop: "stop", minMachinesRunning: new Map([[80, 0]]), isCordoned: false },
    ...{ idleTimeoutMs: 1_000, uses: 0, unusedMs: 1_000, isAsked: false },
    ...change,
  };
}

test("machines that have been idle for long enough are asked for, as many as there are", () => {
  const machines = [machine("a"), machine("b", { unusedMs: 999 }), machine("c", { autostop: "suspend" })];

  expect(planIdleStops(machines)).toEqual([
    { id: "a", how: "stop", idleTimeoutMs: 1_000 },
    { id: "c", how: "suspend", idleTimeoutMs: 1_000 },
  ]);
});

test("those with a request, those asked already and those that never stop are left alone", () => {
  const busy = machine("a", { uses: 1 });
  expect(planIdleStops([busy, machine("b", { isAsked: true }), machine("c", { autostop: "off" })])).toEqual(
    [],
  );
});

test("the first ones by id stay, as many as must run", () => {
  const machines = ["d", "b", "c", "a"].map((id) => machine(id, { minMachinesRunning: new Map([[80, 2]]) }));

  expect(planIdleStops(machines).map(({ id }) => id)).toEqual(["d", "c"]);
});

test("as many stay as each service wants, whatever other machines of the app run", () => {
  const worker = machine("a", { minMachinesRunning: new Map([[9_000, 0]]) });
  const web = ["b", "c"].map((id) => machine(id, { minMachinesRunning: new Map([[80, 1]]) }));

  expect(planIdleStops([worker, ...web]).map(({ id }) => id)).toEqual(["a", "c"]);
});

test("a cordoned machine stays for others only when there are not enough of them", () => {
  const minMachinesRunning = new Map([[80, 1]]);
  const cordoned = machine("a", { minMachinesRunning, isCordoned: true });

  expect(planIdleStops([cordoned, machine("b", { minMachinesRunning })]).map(({ id }) => id)).toEqual(["a"]);
  expect(planIdleStops([cordoned])).toEqual([]);
});

test("all services of a machine have a say in it", () => {
  const stop = { internalPort: 80, autostop: "stop", minMachinesRunning: 1, idleTimeoutMs: 1_000 } as const;
  const suspend = { ...stop, internalPort: 90, autostop: "suspend", minMachinesRunning: 0 } as const;

  expect(togetherOf([stop, { ...suspend, idleTimeoutMs: 5_000 }])).toEqual({
    autostop: "suspend",
    minMachinesRunning: new Map([
      [80, 1],
      [90, 0],
    ]),
    idleTimeoutMs: 5_000,
  });
  expect(togetherOf([stop, { ...stop, autostop: "off" }]).autostop).toBe("off");
  expect(togetherOf([]).autostop).toBe("off");
});

test("however idle they are, so many machines stay that must run", () => {
  const one = fc.record({
    autostop: fc.constantFrom<IdleMachine["autostop"][]>("off", "stop", "suspend"),
    minMachinesRunning: fc
      .dictionary(fc.constantFrom("80", "90"), fc.nat(3))
      .map((each) => new Map(Object.entries(each).map(([port, count]) => [Number(port), count]))),
    isCordoned: fc.boolean(),
    idleTimeoutMs: fc.integer({ min: 1, max: 3 }),
    uses: fc.nat(1),
    unusedMs: fc.nat(4),
    isAsked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 8 }), (list) => {
      const machines = list.map((each, i) => ({ ...each, id: `m${i}` }));
      const stops = new Set(planIdleStops(machines).map(({ id }) => id));
      for (const port of [80, 90]) {
        const having = machines.filter(({ minMachinesRunning }) => minMachinesRunning.has(port));
        const left = having.filter(({ id }) => !stops.has(id)).length;

        const wanted = Math.max(0, ...having.map((each) => each.minMachinesRunning.get(port) ?? 0));
        expect(left).toBeGreaterThanOrEqual(Math.min(wanted, having.length));
      }
      for (const { id, uses, unusedMs, idleTimeoutMs } of machines)
        if (stops.has(id)) expect(uses === 0 && unusedMs >= idleTimeoutMs).toBe(true);
    }),
  );
});
