import fc from "fast-check";
import { expect, test } from "vitest";
import { operation } from "../columns/operations.fixture.ts";
import { csvOf } from "./csv.ts";

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠x"])(
  "the text %j is one for a spreadsheet, and no formula",
  (app) => {
    const [, row = []] = read([...csvOf([operation({ app })], [])].join(""));

    expect(row).toContain(`'${app}`);
  },
);

test("whatever texts and hops there are, a reader of RFC 4180 finds them in their columns", () => {
  const text = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "\r", "'", ";", "é", "🦅", " ") });
  fc.assert(
    fc.property(text, text, text, (image, reason, hop) => {
      const of = operation({ image: `x${image}`, reason: `x${reason}`, hops: { [`x${hop}`]: 7 } });
      const [names = [], row = [], ...others] = read([...csvOf([of], [`x${hop}`])].join(""));
      const cell = (name: string) => row[names.indexOf(name)];

      expect(others).toEqual([]);
      expect([cell("image"), cell("reason"), cell(`x${hop} us`)]).toEqual([`x${image}`, `x${reason}`, "7"]);
    }),
  );
});

/** Reads a table of RFC 4180. */
function read(text: string): string[][] {
  const rows: string[][] = [];
  let cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at += 1; text[at] !== '"' || text[at + 1] === '"'; at += 1) {
        if (text[at] === '"') at += 1;
        cell += text[at] ?? "";
      }
      at += 1;
    } else {
      while (at < text.length && !/[,\r]/.test(text[at] ?? "")) cell += text[at++];
    }
    cells.push(cell);
    if (text[at] === ",") at += 1;
    else {
      rows.push(cells);
      cells = [];
      at += 2;
    }
  }
  return rows;
}
