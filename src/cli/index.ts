/** What benchmarks use of `hover`: its analysis of traces. */
export { analyze } from "./commands/trace/analyze.ts";
export { isComplete, type Trace } from "./commands/trace/spans.ts";
export { nameOf } from "./commands/trace/waterfall.ts";
