import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { HostInfo } from "../../gen/windhover/scheduler/v1/host.ts";
import { ListHostsRequest, ListHostsResponse } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { AttachedHost } from "./attached-host.ts";
import { hostInfoFromProto } from "./convert.ts";
import { hostPageToProto } from "./convert-list.ts";

const stream = { sendBid: () => true, sendRelease: () => true, end: () => {} };

function hostOf(number: number, labels: Readonly<Record<string, string>> = {}): AttachedHost {
  const hello = HostInfo.fromPartial({
    ...{ number, name: `ord-${number}`, identity: "i", region: "ord", address: "127.0.0.1:7101" },
    capacity: { cpus: 8, memoryMb: 4_096n, diskMb: 10_240n },
    labels: new Map(Object.entries(labels)),
  });
  return new AttachedHost(hostInfoFromProto(hello, "ord"), stream, new ManualClock(), () => {});
}

/** Reads all pages. */
function read(hosts: readonly AttachedHost[], pageSize: number) {
  const pages: ListHostsResponse[] = [];
  for (let pageToken = ""; ; ) {
    const page = hostPageToProto(hosts, { pageSize, pageToken }, () => undefined);
    pages.push(page);
    pageToken = page.nextPageToken;
    if (pageToken === "") return pages;
  }
}

const numbers = (pages: readonly ListHostsResponse[]) =>
  pages.map(({ hosts }) => hosts.map(({ info }) => info?.number));

test("hosts are listed by number, page by page", () => {
  const hosts = [3, 0, 2, 1_048_575].map((number) => hostOf(number));

  expect(numbers(read(hosts, 0))).toEqual([[0, 2, 3, 1_048_575]]);
  expect(numbers(read(hosts, 2))).toEqual([
    [0, 2],
    [3, 1_048_575],
  ]);
  expect(numbers(read(hosts, 3))).toEqual([[0, 2, 3], [1_048_575]]);
  expect(numbers(read([], 2))).toEqual([[]]);
});

test("a page ends before 3 MiB, whatever its size, and no host is left out", () => {
  const labels = Object.fromEntries(
    Array.from({ length: 64 }, (_, i) => [`${i}`.padStart(63, "k"), "v".repeat(63)]),
  );
  const hosts = Array.from({ length: 600 }, (_, i) => hostOf(i, labels));

  const pages = read(hosts, 0);

  expect(pages.length).toBeGreaterThan(1);
  for (const page of pages)
    expect(ListHostsResponse.encode(page).finish().length).toBeLessThan(3 * 1_024 * 1_024);
  expect(numbers(pages).flat()).toEqual(hosts.map(({ info }) => info.number));
});

test.each([
  [{ pageSize: -1 }, "page_size"],
  [{ pageToken: "x" }, "page_token"],
  [{ pageToken: "12345678" }, "page_token"],
])("%j is refused", (request, field) => {
  const page = () => hostPageToProto([], ListHostsRequest.fromPartial(request), () => undefined);

  expect(page).toThrow(expect.objectContaining({ violations: [expect.objectContaining({ field })] }));
});
