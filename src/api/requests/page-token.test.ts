import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { decodePageToken, encodePageToken, pageSize } from "./page-token.ts";

describe("page tokens", () => {
  it("give their keys back, to their own list only", () => {
    const token = encodePageToken("list", ["a", "é\n"]);

    expect(decodePageToken("list", ["name", "name"], token)).toEqual(["a", "é\n"]);
    expect(decodePageToken("list", ["name", "name"], "")).toBeUndefined();
    expect(() => decodePageToken("other", ["name", "name"], token)).toThrow("page_token");
    // The REST API calls it `next_cursor`.
    expect(() => decodePageToken("other", ["name", "name"], token)).not.toThrow("next_page_token");
    expect(() => decodePageToken("list", ["name"], token)).toThrow("page_token");
  });

  it("that nobody made are refused, whatever they are", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), (text) => {
        expect(() => decodePageToken("list", ["name"], text)).toThrow(Fault);
      }),
    );
  });

  it("with keys that the database would refuse are refused, whoever made them", () => {
    const id = "0190a2b4-0000-7000-8000-000000000000";
    const times = ["2026-11-29 08:00:00.123456+00", "2026-11-29 08:00:00-03:30"];
    const token = (...keys: string[]) => encodePageToken("list", keys);

    for (const time of times)
      expect(decodePageToken("list", ["time", "uuid"], token(time, id))).toEqual([time, id]);
    for (const keys of [
      ["yesterday", id],
      ["2026-11-29 08:00:00+00", "1"],
      ["infinity", id],
      ["2026-02-31 08:00:00+00", id],
      ["2026-13-01 08:00:00+00", id],
      ["\0", "\0"],
    ])
      expect(() => decodePageToken("list", ["time", "uuid"], token(...keys))).toThrow("page_token");
    expect(() => decodePageToken("list", ["name"], token("a\0"))).toThrow("page_token");
  });

  it("come with a page only when there is more", () => {
    expect([pageSize(0), pageSize(7), pageSize(5_000)]).toEqual([100, 7, 1_000]);
    expect(() => pageSize(-1)).toThrow("page_size");
  });
});
