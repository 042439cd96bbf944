import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AcquireMachineRequest } from "../../../../src/gen/windhover/machines/v1/acquire.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { useCli } from "../support.ts";

const ID = "0000a1b2c3d4e5";
const OTHER = "0000a1b2c3d4e6";
const cli = useCli();

describe("hover acquire", () => {
  test("tries the steps of flags in their order", async () => {
    const { code, out, err } = await cli.home.within(
      ...["acquire", "nginx", "-a", "web", "--start", OTHER, "--launch", "ord", "--start-any", "us"],
      ...[
        "--label",
        "tier=web",
        "--key",
        "job-42",
        "--hedge-after",
        "0",
        "--deadline",
        "30s",
        "--step-timeout",
        "2s",
      ],
    );

    expect([code, out]).toEqual([0, expect.stringMatching(/^0000a1b2c3d4e5 started in .* by step 2\n$/)]);
    expect(err).toMatch(/1 +skipped +- +3\.0 ms +away \(HOST_UNREACHABLE\)\n +2 +started/);
    const timeout = { seconds: 2n, nanos: 0 };
    expect(cli.sent<AcquireMachineRequest>("acquireMachine")).toMatchObject({
      key: "job-42",
      timeout: { seconds: 30n },
      hedgeAfter: { seconds: 0n },
      steps: [
        { step: { $case: "start", value: { machineId: OTHER } }, timeout },
        {
          step: { $case: "launch", value: { app: "web", region: "ord", config: { image: "nginx" } } },
          timeout,
        },
        {
          step: {
            $case: "startAny",
            value: { app: "web", region: "us", metadata: new Map([["tier", "web"]]) },
          },
          timeout,
        },
      ],
    });
  });

  test("takes a whole request from a file, and flags win over it", async () => {
    const file = join(cli.home.dir, "steps.json");
    const steps = [
      { start: { machine_id: OTHER }, timeout: "500ms" },
      {
        launch: { app: "web", region: "any", config: { image: "nginx", services: [{ internal_port: 80 }] } },
      },
    ];
    writeFileSync(file, JSON.stringify({ steps, key: "k", hedge_after: "1s" }));

    const { code, out } = await cli.home.within("acquire", "-f", file, "--key", "other", "--json");

    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      id: ID,
      step: 1,
      repeated: false,
      attempts: [
        { step: 0, outcome: "skipped", reason: "HOST_UNREACHABLE" },
        { step: 1, reason: null },
      ],
    });
    expect(cli.sent<AcquireMachineRequest>("acquireMachine")).toMatchObject({
      key: "other",
      hedgeAfter: { seconds: 1n },
      steps: [
        { timeout: { nanos: 500_000_000 } },
        { step: { value: { config: { services: [{ internalPort: 80 }] } } } },
      ],
    });
  });

  test("keeps every name of the metadata that a file asks for", async () => {
    const file = join(cli.home.dir, "steps.json");
    writeFileSync(file, '{"steps":[{"start_any":{"app":"web","metadata":{"__proto__":"a","tier":"b"}}}]}');

    const { code } = await cli.home.within("acquire", "-f", file);

    expect(code).toBe(0);
    const [first] = cli.sent<AcquireMachineRequest>("acquireMachine").steps;
    expect(first?.step?.value).toMatchObject({
      app: "web",
      metadata: new Map([
        ["__proto__", "a"],
        ["tier", "b"],
      ]),
    });
  });

  test("says why each step failed", async () => {
    const facts = { reason_0: "HOST_UNREACHABLE", reason_1: "NO_CAPACITY", attempts: "[]" };
    cli.api.failures.set(
      "acquireMachine",
      new Fault("RESOURCE_EXHAUSTED", "NO_STEP_WORKED", "no step worked", facts),
    );

    const { code, err } = await cli.home.within("acquire", "--start", ID, "--start", OTHER);

    expect(code).toBe(1);
    expect(err).toBe(
      "Error: no step worked (NO_STEP_WORKED)\n  step 1: HOST_UNREACHABLE\n  step 2: NO_CAPACITY\nNext: hover machine list\n",
    );
  });

  test.each([
    [["acquire"], "Which steps?"],
    [["acquire", "--launch", "ord"], "Which app?"],
    [["acquire", "--launch", "ord", "-a", "web"], "Which image?"],
  ])("%j is an error that shows the way", async (args, message) => {
    const { code, err } = await cli.home.within(...args);

    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });
});
