/** The example in Go, with the code that `buf generate` makes by the plugins of its `go.mod`. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../../tools/lib/run.ts";
import { openWorld, type World } from "../../system/world/world.ts";
import { EXAMPLE_OUTPUT, exampleEnvironment, exampleOutput, generateCode } from "../examples.ts";

let world: World;

beforeAll(async () => {
  world = await openWorld(1);
});

afterAll(() => world?.close());

test("a Go program creates, starts, watches, runs a command, stops and destroys", async () => {
  const cwd = await generateCode("go");

  const printed = await run("go", ["run", ".", world.app, world.image, "cat"], {
    cwd,
    env: exampleEnvironment(world),
  });

  // Go spells codes in its own way.
  const { life, watched } = exampleOutput(printed.replace("FailedPrecondition", "FAILED_PRECONDITION"));
  expect({ life, watched }).toEqual(EXAMPLE_OUTPUT);
});
