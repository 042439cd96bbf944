import { expect, test } from "vitest";
import { fleetOptions } from "./options.ts";

test("hosts may be given after a double dash, or the way npm passes options on", () => {
  expect(fleetOptions(["--hosts", "3"], {})).toEqual({ hosts: 3 });
  expect(fleetOptions(["--hosts=3"], {})).toEqual({ hosts: 3 });
  expect(fleetOptions([], { npm_config_hosts: "3" })).toEqual({ hosts: 3 });
  expect(fleetOptions([], {})).toEqual({ hosts: undefined });
});

test.each([["--hosts", "many"], ["--hosts", "-1"], ["--host", "3"], ["3"]])(
  "%s %s is refused with what is known",
  (...args) => {
    expect(() => fleetOptions(args, {})).toThrow(/--hosts/);
  },
);
