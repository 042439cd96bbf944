import { expect, test } from "vitest";
import { currentFunctions, type FunctionMachine, garbage, versionOf } from "../src/functions.ts";

function machine(id: string, version: string, state: FunctionMachine["state"], live = true): FunctionMachine {
  const metadata = { function: "hello", version, ...(live ? { live: "true" } : {}) };
  return { id, state, region: "ord", config: { metadata } as never };
}

test("the newest version that is live is served, with its machines alone", () => {
  const machines = [
    machine("a", "1", "stopped"),
    machine("b", "2", "stopped"),
    machine("c", "2", "started"),
    machine("d", "3", "created", false),
    { id: "e", state: "started", region: "ord", config: { metadata: {} } as never } as const,
  ];

  const current = currentFunctions(machines);

  expect([...current.keys()]).toEqual(["hello"]);
  expect(current.get("hello")?.version).toBe("2");
  expect(current.get("hello")?.machines.map(({ id }) => id)).toEqual(["b", "c"]);
});

test("old machines are destroyed when they rest, and those of a deployment under way are not", () => {
  const machines = [
    machine("ran", "1", "stopped"),
    machine("running", "1", "started"),
    machine("unfinished", "1", "created", false),
    machine("current", "2", "stopped"),
    machine("next", "3", "created", false),
  ];

  const old = garbage(machines, currentFunctions(machines));

  expect(old.map(({ id }) => id)).toEqual(["ran", "unfinished"]);
});

test("versions sort by their time", () => {
  const digest = `sha256:${"ab12cd34".repeat(8)}`;

  const first = versionOf(new Date("2026-11-29T22:00:00.000Z"), digest);
  const second = versionOf(new Date("2026-11-29T22:00:00.001Z"), digest);

  expect(first).toBe("20261129t220000000z-ab12cd34");
  expect(second > first).toBe(true);
});
