/** The reference of the TypeScript client. Here, since its tool comes from the network. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PACKAGE } from "../../../clients/typescript/build/package.ts";
import { run } from "../../../tools/lib/run.ts";

test("the reference has every class and option of the client, and no link leads nowhere", async () => {
  await run("npm", ["run", "docs"], { cwd: PACKAGE });

  const page = (name: string) => readFileSync(join(PACKAGE, "docs", name), "utf8");
  expect(page("interfaces/Machines.html")).toContain("Watches how machines change");
  expect(page("interfaces/StopOptions.html")).toContain("Time between the signal and SIGKILL");
});
