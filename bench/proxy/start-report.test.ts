import { expect, test } from "vitest";
import { parseStartReport } from "./start-report.ts";

test("an answer tells the start path and where the time went", () => {
  const value = "path=warm; queue=1ms; start=31ms; ready=12ms; trace=0af7651916cd43dd8448eb211c80319c";

  expect(parseStartReport(value)).toEqual({ startPath: "warm", queueMs: 1, startMs: 31, readyMs: 12 });
});

test("an answer without it waited for no start, and another form is an error", () => {
  expect(parseStartReport(undefined)).toBeUndefined();
  expect(() => parseStartReport("path=warm; queue=1ms; ready=2ms")).toThrow("no start");
});
