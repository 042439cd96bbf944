import { expect, test } from "vitest";
import { requestHash } from "./request-hash.ts";
import type { CreateRequest } from "./store/create-state.ts";

const REQUEST: CreateRequest = {
  ...{ org: "personal", app: "web", name: "", regions: ["ord"], regionAsked: "", skipLaunch: false },
  config: {
    image: "nginx",
    guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
    env: { A: "1", B: "2" },
    services: [],
    metadata: {},
    stop: { signal: "SIGTERM", timeoutMs: 5_000 },
  },
};

test("is the same for what was asked of another api, where it stands for other regions", () => {
  const here = requestHash({ ...REQUEST, regionAsked: "any", regions: ["ord", "gru"] });

  expect(requestHash({ ...REQUEST, regionAsked: "any", regions: ["gru", "ord"] })).toEqual(here);
  expect(requestHash({ ...REQUEST, regionAsked: "gru", regions: ["gru"] })).not.toEqual(here);
});

test("is another for anything else", () => {
  const before = requestHash({ ...REQUEST, regionAsked: "" });

  expect(requestHash({ ...REQUEST, regionAsked: "", app: "other" })).not.toEqual(before);
  expect(requestHash({ ...REQUEST, regionAsked: "ord" })).not.toEqual(before);
});

test("is the same for every token that asks for the same lease", () => {
  const leased = (owner: string, ttlMs = 30_000) => requestHash({ ...REQUEST, lease: { owner, ttlMs } });

  expect(leased("ci")).toEqual(leased("other"));
  expect(leased("ci")).not.toEqual(leased("ci", 60_000));
  expect(leased("ci")).not.toEqual(requestHash(REQUEST));
});
