import { describe, expect, test } from "vitest";
import type { Terminal } from "../session/terminal.ts";
import { paint } from "../session/terminal.ts";
import { Progress, type StepMessage, stepLine } from "./progress.ts";
import { table } from "./table.ts";
import { cutTo, displayWidth, fitTo } from "./text.ts";
import { ago, megabytes, span } from "./time.ts";

describe("a table", () => {
  const columns = [
    { title: "ID" },
    { title: "NAME", min: 4 },
    { title: "N", align: "right" as const },
    { title: "LAST", min: 6 },
  ];
  const rows = [
    ["0000a1", "front", "1", "a rather long last column"],
    ["0000b2", "a-very-long-name", "1000", "x"],
  ];

  test("is aligned, has no blanks at line ends, and is as wide as it needs to be", () => {
    expect(table(columns, rows)).toEqual([
      "ID      NAME                 N  LAST",
      "0000a1  front                1  a rather long last column",
      "0000b2  a-very-long-name  1000  x",
    ]);
  });

  test("takes from the widest columns that may be cut, and never from the others", () => {
    expect(table(columns, rows, 40)).toEqual([
      "ID      NAME             N  LAST",
      "0000a1  front            1  a rather lo…",
      "0000b2  a-very-long…  1000  x",
    ]);
  });

  test.each([26, 30, 50])("keeps to %i columns", (width) => {
    for (const line of table(columns, rows, width)) expect(displayWidth(line)).toBeLessThanOrEqual(width);
  });
});

test("a table that is still too wide leaves out columns by rank", () => {
  const columns = [
    { title: "ID" },
    { title: "REGION", dropRank: 2 },
    { title: "HOST", dropRank: 1 },
    { title: "STATE" },
  ];
  const rows = [["0000a1", "ord", "ord-1", "started"]];

  expect(table(columns, rows, 30)[1]).toBe("0000a1  ord     ord-1  started");
  expect(table(columns, rows, 29)[1]).toBe("0000a1  ord-1  started");
  expect(table(columns, rows, 15)[1]).toBe("0000a1  started");
  expect(table(columns, rows, 5)[1]).toBe("0000a1  started");
});

describe("text", () => {
  test("wide characters take two columns, combining marks and colours none", () => {
    expect([displayWidth("日本"), displayWidth("e\u0301"), displayWidth(paint(true).red("ab"))]).toEqual([
      4, 1, 2,
    ]);
  });

  test("is cut with an ellipsis, never within a wide character", () => {
    expect([cutTo("日本語", 4), cutTo("abc", 3), cutTo("abcd", 3), cutTo("abc", 0)]).toEqual([
      "日…",
      "abc",
      "ab…",
      "",
    ]);
  });

  test("is filled up on the chosen side", () => {
    expect([fitTo("ab", 4), fitTo("ab", 4, "right"), fitTo("日本語", 4)]).toEqual(["ab  ", "  ab", "日… "]);
  });
});

describe("times and amounts", () => {
  test.each([
    [0, "now"],
    [42_000, "42s ago"],
    [60_000, "1m ago"],
    [3 * 3_600_000, "3h ago"],
    [50 * 86_400_000, "50d ago"],
    [-7_200_000, "in 2h"],
  ])("%d ms before is %s", (before, text) => {
    expect(ago(new Date(1e12 - before), 1e12)).toBe(text);
  });

  test.each([
    [0.87, "870 µs"],
    [3.21, "3.2 ms"],
    [87.4, "87 ms"],
    [1_240, "1.24 s"],
    [12_340, "12.3 s"],
    [125_000, "2 m 05 s"],
  ])("%d ms is %s", (ms, text) => {
    expect(span(ms)).toBe(text);
  });

  test.each([
    [256, "256 MB"],
    [1_536, "1.5 GB"],
    [2_097_152, "2 TB"],
  ])("%d MB is %s", (mb, text) => {
    expect(megabytes(mb)).toBe(text);
  });
});

describe("the progress of a create", () => {
  test("counts bytes when the step does", () => {
    const message = step("prepare", "running", {
      detail: "pulling layer 2 of 5",
      bytesDone: 12_000_000n,
      bytesTotal: 36_000_000n,
    });

    expect(stepLine(message, 4_200)).toBe(
      "preparing the image: pulling layer 2 of 5, 12 of 36 MB, 33 %  (4.20 s)",
    );
  });

  test("a new stream repeats no lines, and quick steps get none", () => {
    const lines: string[] = [];
    const progress = new Progress(terminal(lines), false);
    const messages = [
      step("resolve", "running"),
      step("resolve", "done"),
      step("award", "failed", { detail: "no room" }),
      step("award", "undone"),
      step("resolve", "undone"),
    ];

    for (const message of [...messages, ...messages]) progress.step(message);
    progress.close();

    expect(lines).toEqual(["awarding it to a host failed after (0 µs)\n", "undoing the steps before it\n"]);
  });
});

function step(name: string, status: string, more: Partial<StepMessage> = {}): StepMessage {
  return { step: name, status, detail: "", bytesDone: 0n, bytesTotal: 0n, ...more };
}

function terminal(lines: string[]): Terminal {
  const err = (text: string) => void lines.push(text.replace(/\d+ µs/, "(0 µs)"));
  return {
    out: () => {},
    pass: async () => {},
    err,
    isTty: false,
    isErrTty: false,
    width: undefined,
    paint: paint(false),
  };
}
