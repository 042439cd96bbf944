import { expect, test } from "vitest";
import { hopMeans, hopSumsBy, meansOf } from "./hop-means.ts";
import { columnsOf, filterOf } from "./operations.fixture.ts";
import { select } from "./select.ts";

const columns = columnsOf([
  { host: "a", durationUs: 30, hops: { api: 10, claim: 20 } },
  { host: "b", durationUs: 10, hops: { api: 7 } },
  { host: "a", durationUs: 20, hops: { api: 20 } },
  { host: "c", durationUs: 40, kind: "stop", hops: { grace: 40 } },
]);
const selected = select(columns, filterOf("kind=all"), undefined);
const codeOf = (hop: string) => columns.hopNames.find(hop) ?? -1;

test("hops have the sums of each group, and what is of no group counts nowhere", () => {
  const { host } = columns.codes;
  const sums = hopSumsBy(columns, selected, 2, (i) => host[i] ?? 0);

  expect(sums.map((own) => ["api", "claim", "grace"].map((hop) => own[codeOf(hop)]))).toEqual([
    [30, 20, 0],
    [7, 0, 0],
  ]);
});

test("means of all groups together are those of all operations", () => {
  const sums = hopSumsBy(columns, selected, 3, (i) => columns.codes.host[i] ?? 0);

  expect([...meansOf(sums, selected.length)]).toEqual([...hopMeans(columns, selected)]);
  expect(hopMeans(columns, selected)[codeOf("grace")]).toBe(10);
  expect([...hopMeans(columns, new Uint32Array())]).toEqual([0, 0, 0]);
});
