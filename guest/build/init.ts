import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

/** Where the sources of the guest's init are. They include each other by paths relative to this. */
const SOURCES = join(import.meta.dirname, "../init");

const COMPILE_TIMEOUT_MS = 120_000;
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror"];
const SMALL = ["-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"];
/** Flags for every program that runs in a guest. */
export const COMPILER_FLAGS: readonly string[] = [...FLAGS, ...SMALL];
/** musl brings no kernel headers. Searched last, so that libc's own come first. */
const KERNEL_HEADERS = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"];

/** Lists the init's C files, without their tests. */
export function initSources(): string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.[ch]$/.test(file) && !file.startsWith("test/"))
    .sort()
    .map((file) => join(SOURCES, file));
}

/** Compiles the init into one static program. */
export async function compileInit(output: string): Promise<void> {
  const sources = initSources().filter((file) => file.endsWith(".c"));
  await run("musl-gcc", [...COMPILER_FLAGS, "-I", SOURCES, ...KERNEL_HEADERS, "-o", output, ...sources], {
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
}
