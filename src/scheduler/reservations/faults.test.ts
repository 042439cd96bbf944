import { expect, test } from "vitest";
import { bid, SMALL } from "../../../test/support/scheduler/fixture.ts";
import type { DeclineReason } from "../auctions/offer.ts";
import type { HostSummary } from "../hosts/hosts.ts";
import { noOffers } from "./faults.ts";

const SUMMARY: HostSummary = { attached: 5, matching: 5, closed: 0, inBackoff: 0, silent: 0 };

function outcome(asked: number, declines: [DeclineReason, number][] = []) {
  return { offers: [], asked, declines: new Map(declines), nearest: undefined };
}

test("a label that no host has is named, and is not worth a retry", () => {
  const wanted = bid("r1", SMALL, { hostLabels: { gpu: "h100" } });

  const fault = noOffers(wanted, outcome(0), { ...SUMMARY, matching: 0 }, 0);

  expect(fault).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "NO_CAPACITY" });
  expect(fault.message).toBe("none of the 5 hosts attached has label gpu=h100");
  expect(fault.facts).toMatchObject({ hosts_attached: "5", hosts_matching: "0" });
});

test("hosts that operators closed are counted", () => {
  const fault = noOffers(bid(), outcome(0), { ...SUMMARY, closed: 4, inBackoff: 1 }, 0);

  expect(fault.reason).toBe("NO_CAPACITY");
  expect(fault.message).toMatch(/none takes machines now: 4 cordoned or draining, 1 left out/);
});

test("machines of the app everywhere are the reason when distinct hosts were asked for", () => {
  const wanted = bid("r1", SMALL, { distinctHosts: true });

  expect(noOffers(wanted, outcome(2, [["app_present", 2]]), SUMMARY, 0).message).toMatch(
    /each of the 2 hosts asked has a machine of the app already/,
  );
});

test("silent hosts are worth a retry", () => {
  expect(noOffers(bid(), outcome(0), { ...SUMMARY, silent: 5 }, 0)).toMatchObject({
    code: "UNAVAILABLE",
    reason: "NO_HOSTS",
  });
});
