import { expect, test } from "vitest";
import type { FleetState } from "../supervisor/state.ts";
import { shapeOf } from "./local.ts";

const NOTHING = { hosts: undefined, regions: undefined, schedulers: undefined };

/** What `fleet.json` says of a fleet, as far as its shape goes. */
function stateOf(regions: readonly string[], perRegion: number, schedulers: number): FleetState {
  const replicas = Array.from({ length: schedulers }, () => ({ address: "", metrics: "" }));
  const hosts = regions.flatMap((region, index) =>
    Array.from({ length: perRegion }, (_, host) => ({ number: index * perRegion + host + 1, region })),
  );
  const state = {
    regions: regions.map((region) => ({ region, schedulers: replicas })),
    hosts,
  };
  // The rest of a state has no say in it.
  return state as unknown as FleetState;
}

test("a first fleet is one region with two hosts", () => {
  expect(shapeOf(NOTHING, undefined)).toEqual({ regions: ["ord"], hosts: 2, schedulers: 1, hostsBefore: [] });
});

test("without options a fleet comes up in the shape that it had", () => {
  expect(shapeOf(NOTHING, stateOf(["ord", "gru"], 3, 2))).toMatchObject({
    regions: ["ord", "gru"],
    hosts: 3,
    schedulers: 2,
    hostsBefore: expect.arrayContaining([{ number: 4, region: "gru" }]),
  });
  expect(shapeOf({ ...NOTHING, hosts: 1 }, stateOf(["ord", "gru"], 3, 2))).toMatchObject({
    regions: ["ord", "gru"],
    hosts: 1,
  });
});
