/** The example in Python, with the code that `buf generate` makes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../../tools/lib/run.ts";
import { openWorld, type World } from "../../system/world/world.ts";
import { EXAMPLE_OUTPUT, exampleEnvironment, exampleOutput, generateCode } from "../examples.ts";

/** Debian's, for which the packages of set-up are. */
const PYTHON = "/usr/bin/python3";
let world: World;

beforeAll(async () => {
  world = await openWorld(1);
});

afterAll(() => world?.close());

test("a Python program creates, starts, watches, runs a command, stops and destroys", async () => {
  const cwd = await generateCode("python");

  const printed = await run(PYTHON, ["machine.py", world.app, world.image, "cat"], {
    cwd,
    env: exampleEnvironment(world),
  });

  expect(exampleOutput(printed)).toEqual(EXAMPLE_OUTPUT);
});
