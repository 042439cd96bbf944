import { delimiter, join } from "node:path";
import { ROOT, tool } from "../../tools/lib/paths.ts";
import { run } from "../../tools/lib/run.ts";
import type { World } from "../system/world/world.ts";

/** Makes the code of an example as its README says: with `buf generate` in its folder. */
export async function generateCode(example: string): Promise<string> {
  const folder = join(ROOT, "examples/clients", example);
  await run(tool("buf"), ["generate"], { cwd: folder, env: exampleEnvironment() });
  return folder;
}

/** Returns the environment of an example, which calls the api of a fleet. */
export function exampleEnvironment(world?: Pick<World, "fleet">): NodeJS.ProcessEnv {
  // Go obeys the module's file, and writes nothing but its own caches.
  const PATH = [join(ROOT, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const of = world && { WINDHOVER_API: world.fleet.api, WINDHOVER_TOKEN: world.fleet.token };
  return { ...process.env, PATH, GOFLAGS: "-mod=mod", PYTHONDONTWRITEBYTECODE: "1", ...of };
}

/** Output of each example, without the id of its machine. */
export const EXAMPLE_OUTPUT = {
  life: [
    "created: ID CREATED",
    "started: ID STARTED",
    "exec: 0 hello",
    "error: FAILED_PRECONDITION INVALID_STATE",
  ],
  watched: ["CREATED", "STARTED", "STOPPED", "DESTROYED"],
} as const;

/** Splits the output of an example into its own lines and those of its watch, without passing states. */
export function exampleOutput(text: string): {
  readonly life: readonly string[];
  readonly watched: readonly string[];
} {
  const lines = text
    .trim()
    .split("\n")
    .map((line) => line.replace(/[0-9a-f]{14}/, "ID").replaceAll("MACHINE_STATE_", ""));
  const isWatch = (line: string) => line.startsWith("watch: ");
  return {
    life: lines.filter((line) => !isWatch(line)),
    watched: lines
      .filter(isWatch)
      .map((line) => line.slice("watch: ".length))
      .filter((state) => !state.endsWith("ING")),
  };
}
