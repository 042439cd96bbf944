import { readdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../tools/lib/run.ts";

/** Where the sources of the guest's init are. They include each other by paths relative to this. */
const SOURCES = join(import.meta.dirname, "../init");
/** What is preloaded into QEMU. */
export const BACKLOG_SOURCE = join(import.meta.dirname, "../host/backlog.c");

const COMPILE_TIMEOUT_MS = 120_000;
const FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror"];
const SMALL = ["-static", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections", "-s"];
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
  await compile(output, ["-I", SOURCES, ...initSources().filter((file) => file.endsWith(".c"))]);
}

/** Compiles a program for the guest: small, static, without warnings. */
export function compile(output: string, args: readonly string[]): Promise<void> {
  return compileAs(SMALL, output, args);
}

/** Compiles what is preloaded into QEMU, which runs on the host. */
export function compileBacklog(output: string): Promise<void> {
  return compileAs(["-shared", "-fPIC", "-nostdlib", "-s"], output, [BACKLOG_SOURCE]);
}

async function compileAs(how: readonly string[], output: string, args: readonly string[]): Promise<void> {
  const signal = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
  await run("musl-gcc", [...FLAGS, ...how, ...KERNEL_HEADERS, "-o", output, ...args], { signal });
}
