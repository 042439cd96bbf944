import { expect, test } from "vitest";
import { LaunchError } from "../../vmm/vmm.ts";
import { launchFault } from "./launch-faults.ts";

const notFound = new LaunchError("exec", "not_found", "ENOENT");

test("a program that cannot be run is named", () => {
  expect(launchFault(notFound, "/bin/tool", false, 1)).toMatchObject({
    reason: "EXEC_FAILED",
    message: "/bin/tool could not be run: there is no such file in the image",
    facts: { path: "/bin/tool" },
  });
});

test("a line that was given as a program is cut where its arguments begin", () => {
  expect(launchFault(notFound, "/bin/tool --password=x y", false, 1)).toMatchObject({
    message:
      "/bin/tool... could not be run (a line of several words was given as the name of one program): " +
      "there is no such file in the image",
    facts: { path: "/bin/tool..." },
  });
});
