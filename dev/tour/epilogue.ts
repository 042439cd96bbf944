import { join, relative } from "node:path";
import { styleText } from "node:util";
import { ROOT } from "../../tools/lib/paths.ts";
import { describeAddresses } from "../fleet/describe.ts";
import type { Layout } from "../settings/layout.ts";
import type { FleetState } from "../supervisor/state.ts";

/** Describes the fleet at the end of a tour: addresses, and commands to go on with. */
export function epilogue(state: FleetState, layout: Layout, machine: string): string {
  const hover = relative(process.cwd(), join(ROOT, "bin/hover")) || "hover";
  const commands = [
    [`${hover} machine stop ${machine}`, "and start it again: every start is a fresh VM"],
    [`${hover} machine logs ${machine}`, "what it wrote"],
    [`${hover} console`, "a link to the page that shows where starts spend their time"],
    [`${hover} host list`, "the hosts, what they have left, and how they run machines"],
  ] as const;
  const width = Math.max(...commands.map(([command]) => command.length));
  return [
    styleText("bold", "Windhover is up"),
    describeAddresses(state, layout),
    "",
    styleText("bold", "Next"),
    ...commands.map(([command, what]) => `  ${command.padEnd(width)}  ${styleText("dim", what)}`),
  ].join("\n");
}
