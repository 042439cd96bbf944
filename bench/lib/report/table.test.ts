import { expect, test } from "vitest";
import { number, ratio, table } from "./table.ts";

test("names stand to the left and numbers to the right", () => {
  const lines = table([
    ["name", "p50", "p99"],
    ["warm", "42", "108"],
    ["plain_qemu_cold", "2846"],
  ]);
  expect(lines).toEqual([
    "name              p50  p99",
    "---------------  ----  ---",
    "warm               42  108",
    "plain_qemu_cold  2846",
  ]);
});

test("numbers keep three digits", () => {
  expect([0.4213, 3.1234, 57.14, 2846.4, 0].map(number)).toEqual(["0.42", "3.12", "57.1", "2846", "0.00"]);
});

test("a ratio says which of the two is faster", () => {
  expect(ratio(50, 2_850)).toBe("1/57.0");
  expect(ratio(100, 40)).toBe("2.50x");
  expect(ratio(0, 40)).toBe("");
});
