import { expect, test } from "vitest";
import { argumentsOf, fleetOptions } from "./fleet-options.ts";

const NOTHING = { hosts: undefined, regions: undefined, schedulers: undefined };

test("hosts may be given after a double dash, or the way npm passes options on", () => {
  expect(fleetOptions(["--hosts", "3"], {})).toEqual({ ...NOTHING, hosts: 3 });
  expect(fleetOptions(["--hosts=3"], {})).toEqual({ ...NOTHING, hosts: 3 });
  expect(fleetOptions([], { npm_config_hosts: "3" })).toEqual({ ...NOTHING, hosts: 3 });
  expect(fleetOptions([], {})).toEqual(NOTHING);
});

test("options can be written as arguments again", () => {
  const options = fleetOptions(["--regions", "ord, gru", "--schedulers", "2", "--hosts", "1"], {});

  expect(options).toEqual({ hosts: 1, regions: ["ord", "gru"], schedulers: 2 });
  expect(fleetOptions(argumentsOf(options), {})).toEqual(options);
  expect(argumentsOf(NOTHING)).toEqual([]);
  expect(fleetOptions([], { npm_config_regions: "ord,gru" }).regions).toEqual(["ord", "gru"]);
});

test.each([["--hosts", "many"], ["--hosts", "-1"], ["--host", "3"], ["3"]])(
  "%s %s is refused with what is known",
  (...args) => {
    expect(() => fleetOptions(args, {})).toThrow(/--hosts/);
  },
);
