import { describe, expect, test } from "vitest";
import { compareCommand, latencyCommand, quoted } from "./command.ts";
import { readView, writeView } from "./view.ts";

const WHOLE =
  "?kind=wake&since=6h&until=1700000000000&outcome=failed&min=20ms&max=1s&path=warm&path=%21cold&host=ord-3&box=1%2C2%2C3%2C4&view=compare&a=host%3Da&b=host%3Db&trace=0123456789abcdef0123456789abcdef&live=1";

describe("a view", () => {
  test("is what its URL says, and the other way round", () => {
    expect(writeView(readView(WHOLE))).toBe(WHOLE);
    expect(writeView(readView(""))).toBe("");
  });

  test("leaves out what makes no sense", () => {
    const view = readView("?kind=nap&view=maze&trace=1&outcome=odd&box=4,3,2,1&live=yes");

    expect(writeView(view)).toBe("");
  });

  test.each(["1e300,2e300,1,2", "-5,5,1,2", "1,2,-1,3", "1,2,3,1e300", "1,2,3", "a,b,c,d", "NaN,1,2,3"])(
    "has no box %s, which no clock could show",
    (box) => expect(readView(`?box=${box}`).box).toBeUndefined(),
  );

  test("may be of all kinds, and of a trace in capitals", () => {
    expect(readView("?kind=all").kind).toBe("all");
    expect(readView(`?trace=${"AB".repeat(16)}`).trace).toBe("ab".repeat(16));
  });

  test("may ask for what has no value, such as operations without a start path", () => {
    expect(readView("?path=").values.path).toEqual([""]);
  });
});

describe("the command of a view", () => {
  test("has the period and the durations of a box", () => {
    expect(latencyCommand(readView("?box=0,60000,20000,50000.4"), "host")).toBe(
      "hover latency --since 1970-01-01T00:00:00.000Z --until 1970-01-01T00:01:00.000Z --min 20000us --max 50000us --by host",
    );
  });

  test("can be pasted into a shell", () => {
    expect(["warm", "!warm", "it's", "a b", ""].map(quoted)).toEqual([
      "warm",
      "'!warm'",
      String.raw`'it'\''s'`,
      "'a b'",
      "''",
    ]);
    expect(compareCommand("host=a&since=1h", "host=%21a")).toBe(
      "hover latency compare 'host=a&since=1h' 'host=!a'",
    );
  });
});
