import { expect, test } from "vitest";
import { z } from "zod";
import { duration, integer } from "./fields.ts";
import { read } from "./read.ts";

const schema = z.looseObject({ any: integer(), few: integer(1, 8) });

test.each([
  [{ any: "99999999999999999999" }, [["any", "is too large"]]],
  [{ any: -1 }, [["any", "must be at least 0"]]],
  [{ any: 1.5 }, [["any", "must be a whole number"]]],
  [
    { any: "many", few: 1e20 },
    [
      ["any", "must be a whole number"],
      ["few", "must be 1 to 8"],
    ],
  ],
])("of the numbers %j each field is named once, with what is wrong", (given, wrong) => {
  const violations = wrong.map(([field, description]) => ({ field, description }));

  expect(() => read(schema, given)).toThrow(expect.objectContaining({ violations }));
});

test("a number that Go's durations cannot hold is refused as none", () => {
  const violations = [{ field: "timeout", description: 'must be a duration such as "1m30s"' }];
  const timed = z.looseObject({ timeout: duration() });

  expect(() => read(timed, { timeout: 1e300 })).toThrow(expect.objectContaining({ violations }));
  expect(read(timed, { timeout: 300_000_000_001 })).toEqual({ timeout: "5m0.000000001s" });
});
