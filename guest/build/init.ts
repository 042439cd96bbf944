import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

/** Where the guest's init comes from. */
export const INIT_SOURCES = join(import.meta.dirname, "../init");

const COMPILE_TIMEOUT_MS = 120_000;
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror"];
const SMALL = ["-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"];
/** What every program for the guest is compiled with: small, static, no warnings. */
export const COMPILER_FLAGS: readonly string[] = [...FLAGS, ...SMALL];
/** musl brings no kernel headers. Searched last, so that libc's own come first. */
const KERNEL_HEADERS = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"];

/** The init's C files, without their tests. */
export function initSources(): string[] {
  const files = readdirSync(INIT_SOURCES).filter((file) => file.endsWith(".c") || file.endsWith(".h"));
  return files.sort().map((file) => join(INIT_SOURCES, file));
}

/** Compiles the init: one static program. */
export async function compileInit(output: string): Promise<void> {
  const sources = initSources().filter((file) => file.endsWith(".c"));
  await run("musl-gcc", [...COMPILER_FLAGS, ...KERNEL_HEADERS, "-o", output, ...sources], {
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
}
