import { withSpan } from "../../../lib/otel/tracing.ts";
import { endsWithin } from "../../../lib/runtime/wait.ts";
import type { MachineRuntime } from "../machine-runtime.ts";

/** Waits for the end of a process that has just started. Its exit is noted then. */
export async function watchStart({ vm, ended: exit }: MachineRuntime, watchMs: number): Promise<void> {
  if (!vm) return;
  if (watchMs > 0) await withSpan("hostd.watch", {}, () => endsWithin(watchMs, exit));
  else if ((await Promise.race([vm.exited, undefined])) !== undefined) await exit;
}
