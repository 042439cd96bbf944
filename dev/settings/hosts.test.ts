import { expect, test } from "vitest";
import { assignHosts } from "./hosts.ts";

const numbers = (hosts: ReturnType<typeof assignHosts>, region: string) =>
  hosts.filter((host) => host.region === region).map((host) => host.number);

test("host numbers are unique, region after region", () => {
  const hosts = assignHosts(["ord", "gru"], 2);

  expect(hosts.map((host) => host.number)).toEqual([1, 2, 3, 4]);
  expect(numbers(hosts, "ord")).toEqual([1, 2]);
  expect(numbers(hosts, "gru")).toEqual([3, 4]);
});

test("a region keeps its numbers when others come, go, change places or all of them grow", () => {
  const one = assignHosts(["ord"], 2);
  const two = assignHosts(["gru", "ord"], 2, one);
  const larger = assignHosts(["gru", "ord"], 3, two);

  expect([numbers(two, "ord"), numbers(two, "gru")]).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect([numbers(larger, "ord"), numbers(larger, "gru")]).toEqual([
    [1, 2, 6],
    [3, 4, 5],
  ]);
  expect(numbers(assignHosts(["gru"], 2, two), "gru")).toEqual([3, 4]);
  expect(numbers(assignHosts(["ord"], 1, two), "ord")).toEqual([1]);
});

test("another region does not get the numbers of one that left", () => {
  expect(numbers(assignHosts(["gru"], 2, assignHosts(["ord"], 2)), "gru")).toEqual([3, 4]);
});
