import type { TestContext } from "vitest";

/** Skips a test that cannot run on this machine, and prints why: reporters only count skips. */
export function leaveOut(context: TestContext, reason: string): never {
  process.stderr.write(`left out: "${context.task.name}": ${reason}\n`);
  return context.skip(reason);
}
