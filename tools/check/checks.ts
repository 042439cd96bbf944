import { styleText } from "node:util";
import { ROOT, tool } from "../lib/paths.ts";
import { type Progress, seconds } from "../lib/progress.ts";
import { run } from "../lib/run.ts";

/** A tool that accepts the tree or not. */
export interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** The checks that run no tests. */
export const STATIC_CHECKS: readonly Check[] = [
  { name: "format and lint", command: ["biome", "ci", "--colors=off"] },
  { name: "types", command: ["tsc", "-p", "tsconfig.json", "--pretty", "false"] },
  { name: "types of the page", command: ["tsc", "-p", "src/console/web", "--pretty", "false"] },
  { name: "imports", command: ["node", "tools/check/imports.ts"] },
  { name: "unused code", command: ["knip", "--no-progress"] },
  { name: "configuration reference", command: ["node", "tools/docs/configuration.ts"] },
  { name: "dashboards", command: ["node", "otel/grafana/generate.ts"] },
  { name: "contracts: lint", command: ["buf", "lint"] },
  // Compared with what was published last, not with the commit before: two steps of one change must
  // not hide each other.
  { name: "contracts: breaking", command: ["buf", "breaking", "--against", "proto/baseline.binpb"] },
];

/** Runs groups of checks at once, each in order. Returns the names of those that fail. */
export function failing(
  groups: readonly (readonly Check[])[],
  progress: Progress,
  signal: AbortSignal,
): Promise<string[]> {
  const running = new Set<string>();
  return progress.step("checks", async (say) => {
    const failures: string[] = [];
    const runGroup = async (group: readonly Check[]) => {
      for (const check of group) {
        signal.throwIfAborted();
        say([...running.add(check.name)].join(", "));
        if (!(await passes(check, progress, signal))) failures.push(check.name);
        running.delete(check.name);
        say([...running].join(", "));
      }
    };
    await Promise.all(groups.map(runGroup));
    return failures;
  });
}

/** Shows a line for a check that passes, and the whole output of one that fails. */
async function passes(check: Check, progress: Progress, signal: AbortSignal): Promise<boolean> {
  const startedAt = performance.now();
  const [name, ...args] = check.command;
  const took = () => `${check.name} ${seconds(performance.now() - startedAt)}`;
  try {
    await run(tool(name), args, { cwd: ROOT, signal, env: { ...process.env, NO_COLOR: "1" } });
    progress.say(`${styleText("green", "✓")} ${took()}`);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    progress.say(`${styleText("red", "✗")} ${took()}\n${error instanceof Error ? error.message : error}`);
    return false;
  }
}
