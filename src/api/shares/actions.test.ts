import { expect, test } from "vitest";
import { RULES } from "../service-rules.ts";
import { actionOf } from "./actions.ts";

test("only calls that need the database and nothing else count as administration", () => {
  const ofMachines = [...RULES.keys()].filter((path) => path.startsWith("/windhover.machines."));
  const admin = ofMachines.filter((path) => actionOf(path) === "admin").map((path) => path.split("/").at(-1));

  expect(ofMachines.length).toBeGreaterThan(30);
  // A new call on machines that comes up here needs an action of its own.
  expect(admin).toEqual([
    ...[
      "CreateApp",
      "DeleteApp",
      "AddHostname",
      "RemoveHostname",
      "SetRegistryCredentials",
      "DeleteRegistryCredentials",
    ],
  ]);
});
