import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltImage, buildImage } from "../../test/support/oci/index.ts";
import { run } from "../../tools/lib/run.ts";

/** What the program writes first. */
export const FIRST_LINE = "windhover-bench: running";
/** Its path in the image. */
export const PROGRAM_PATH = "/bin/line";
/** The path of a program that writes empty lines without end. */
export const FLOOD_PATH = "/bin/flood";

/** The path of a program that ends at once. */
export const TRUE_PATH = "/bin/true";

const SOURCES = join(import.meta.dirname, "../program");
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-s"];

/** Compiles a file of `bench/program` into a static program in `folder` and returns its path. */
export async function compile(
  name: "line" | "flood" | "true" | "serve" | "plain-init",
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const output = join(folder, name);
  await run("musl-gcc", [...FLAGS, "-o", output, join(SOURCES, `${name}.c`)], { signal });
  return output;
}

/** Makes the image that contains the programs and nothing else. */
export async function programImage(folder: string, signal: AbortSignal): Promise<BuiltImage> {
  const content = async (name: "line" | "flood" | "true") =>
    readFileSync(await compile(name, folder, signal));
  const files = [
    { path: "bin", type: "dir" as const },
    { path: PROGRAM_PATH.slice(1), mode: 0o755, content: await content("line") },
    { path: FLOOD_PATH.slice(1), mode: 0o755, content: await content("flood") },
    { path: TRUE_PATH.slice(1), mode: 0o755, content: await content("true") },
  ];
  return buildImage({ layers: [files], config: { Entrypoint: [PROGRAM_PATH] } });
}
