import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltImage, buildImage } from "../../test/support/oci/index.ts";
import { run } from "../../tools/lib/run.ts";

/** What the program writes as soon as it runs. */
export const FIRST_LINE = "windhover-bench: running";
/** Where it lies in the image. */
export const PROGRAM_PATH = "/bin/line";

const SOURCES = join(import.meta.dirname, "../program");
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s"];

/** Compiles one of `bench/program`, static. */
export async function compile(
  name: "line" | "plain-init",
  output: string,
  signal: AbortSignal,
): Promise<void> {
  await run("musl-gcc", [...FLAGS, "-o", output, join(SOURCES, `${name}.c`)], { signal });
}

/** The image that holds the program and nothing else. */
export function imageOf(program: string): BuiltImage {
  return buildImage({
    layers: [
      [
        { path: "bin", type: "dir" },
        { path: PROGRAM_PATH.slice(1), mode: 0o755, content: readFileSync(program) },
      ],
    ],
    config: { Entrypoint: [PROGRAM_PATH] },
  });
}
