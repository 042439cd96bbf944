import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { canMove, MACHINE_STATES, nextStates } from "./states.ts";

/** Reads the edges from the diagram in the file's comment. */
function diagram(): Set<string> {
  const source = readFileSync(new URL("./states.ts", import.meta.url), "utf8");
  const comment = source.slice(0, source.indexOf("*/"));
  const edges = new Set<string>();
  for (const line of comment.split("\n").filter((text) => text.includes("-->"))) {
    const stations = line
      .replace(/^ \* +/, "")
      .split("-->")
      // Two blanks begin the remark beside an edge.
      .map((station) => station.trim().split(/ {2,}/)[0] ?? "")
      .map((station) => station.split(",").map((name) => name.trim()));
    for (let at = 0; at + 1 < stations.length; at += 1) {
      for (const from of stations[at] ?? [])
        for (const to of stations[at + 1] ?? []) edges.add(`${from} ${to}`);
    }
  }
  return edges;
}

test("the table is the diagram above it", () => {
  const table = new Set(MACHINE_STATES.flatMap((from) => nextStates(from).map((to) => `${from} ${to}`)));

  expect([...diagram()].sort()).toEqual([...table].sort());
});

test("the table is the diagram in docs/architecture.md", () => {
  const text = readFileSync(new URL("../../../docs/architecture.md", import.meta.url), "utf8");
  const [, diagramText = ""] = /stateDiagram-v2\n(.*?)```/s.exec(text) ?? [];
  const edges = [...diagramText.matchAll(/^ +(\w+) --> (\w+)/gm)].map(([, from, to]) => `${from} ${to}`);
  const table = MACHINE_STATES.flatMap((from) => nextStates(from).map((to) => `${from} ${to}`));

  expect(edges.sort()).toEqual(table.sort());
});

test("destroyed is the only final state, and every state is reached from creating", () => {
  const reached = new Set<string>(["creating"]);
  for (const from of MACHINE_STATES)
    if (reached.has(from)) for (const to of nextStates(from)) reached.add(to);

  expect(MACHINE_STATES.filter((state) => nextStates(state).length === 0)).toEqual(["destroyed"]);
  expect([...reached].sort()).toEqual([...MACHINE_STATES].sort());
  expect(canMove("stopped", "started")).toBe(false);
});
