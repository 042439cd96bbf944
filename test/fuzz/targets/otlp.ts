import { decodeSpans } from "../../../src/traces/otlp/decode-spans.ts";
import { normalize } from "../../../src/traces/otlp/normalize.ts";
import type { Normalized } from "../../../src/traces/otlp/span-limits.ts";
import { hold, type Target } from "../target.ts";

const MAX_SPANS = 50;

/** Spans that clients and services send, as protobuf and as JSON. */
export const otlpTarget: Target = {
  name: "otlp",
  words: [
    ...["service.name", "windhover.machine.id", "__proto__", "hostd.start"],
    ...[
      Buffer.from([0x0a, 0x10]),
      Buffer.from([0x12, 0x08]),
      Buffer.from([0x39, 0, 0, 0, 0, 0, 0x40, 0x18]),
      Buffer.from([0x41, 0, 0, 0, 0, 1, 0x40, 0x18]),
      Buffer.from([0x4a, 0x05, 0x0a]),
      Buffer.from([0x7a, 0x02, 0x18, 2]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
    ],
    ...['{"resourceSpans":[', '{"scopeSpans":[{"spans":[', '"kvlistValue":{"values":[', '"intValue":"-9"'],
  ],
  run: (input) => {
    const decoded = fromProtobuf(input);
    if (decoded) check(decoded);
    const parsed = fromJson(input);
    if (parsed !== undefined) check(normalize(parsed, MAX_SPANS));
  },
};

/** Undefined: it is no protobuf. A bug would throw a TypeError. */
function fromProtobuf(input: Buffer): Normalized | undefined {
  try {
    return decodeSpans(input, MAX_SPANS);
  } catch (err) {
    if (err instanceof TypeError || !(err instanceof Error)) throw err;
    return undefined;
  }
}

function fromJson(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString("utf8"));
  } catch {
    return undefined;
  }
}

function check({ spans, problems }: Normalized): void {
  hold(spans.length <= MAX_SPANS, "there are no more spans than allowed");
  hold(problems.length <= 8, "each problem is told once");
  for (const { span, json } of spans) {
    hold(/^[0-9a-f]{32}$/.test(span.trace_id) && /^[0-9a-f]{16}$/.test(span.span_id), "ids are well-formed");
    hold(Number.isSafeInteger(span.start_us) && span.duration_us >= 0, "times are numbers");
    hold(Buffer.byteLength(json) <= 64 * 1024 + 8_192, "a span is cut to size");
    hold(!json.includes("\n"), "a span is one line");
  }
}
