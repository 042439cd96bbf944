import { recent, spanOf, startTestConsole, type TestConsole } from "./support.ts";

export const SLOW = recent({
  ...{ durationUs: 90_000, host: "h2", hops: { hostd: 20_000, "disk swap": 70_000 }, app: "=1+1" },
});
const QUICK = Array.from({ length: 40 }, (_, i) =>
  recent({ durationUs: 30_000 + i, hops: { hostd: 20_000, "disk swap": 10_000 + i } }),
);
export const FAILED = recent({ reason: "START_FAILED", path: "", durationUs: 5_000 });

/** Starts a console over these starts, and the spans of those that worked. */
export async function startConsoleOfStarts(): Promise<TestConsole> {
  const console = await startTestConsole([...QUICK, SLOW, FAILED]);
  for (const each of [...QUICK, SLOW]) {
    const swap = {
      span_id: "e".repeat(16),
      parent_span_id: each.spanId,
      name: "vmm.swap",
      kind: "internal",
    } as const;
    const swapUs = each.hops["disk swap"] ?? 0;
    const span = spanOf(each, { ...swap, start_us: each.startUs + 20_000, duration_us: swapUs });
    console.database.addTrace([spanOf(each, { name: "api.start", service: "api" }), span], "acme");
  }
  return console;
}
