import type { WaterfallSpan } from "../../../answers/traces.ts";
import { change, duration } from "../../format/format.ts";
import { follow } from "../../panels/hops.tsx";
import { go, urlOf } from "../../state/location.ts";

/** What a span says: times, attributes, events, links. */
export function SpanDetails({ span }: { readonly span: WaterfallSpan }) {
  const own = span.critical.reduce((sum, each) => sum + each.duration_us, 0);
  const facts: readonly (readonly [string, string])[] = [
    ["starts at", duration(span.offset_us)],
    ["took", duration(span.duration_us)],
    ...(span.typical_us === null
      ? []
      : ([
          ["typically", `${duration(span.typical_us)} (${change(span.duration_us - span.typical_us)})`],
        ] as const)),
    ["own time on the critical path", duration(own)],
    ...(span.skew_us === 0 ? [] : ([["clock corrected by", change(span.skew_us)]] as const)),
    ...(span.status_message === "" ? [] : ([["error", span.status_message]] as const)),
  ];
  return (
    <div class="details">
      <Facts title="Times" facts={facts} />
      <Facts
        title="Attributes"
        facts={Object.entries(span.attributes).map(([name, value]) => [name, show(value)])}
      />
      <Facts
        title="Events"
        facts={span.events.map(({ name, offset_us, attributes }) => [
          `${duration(offset_us)} ${name}`,
          Object.entries(attributes)
            .map(([key, value]) => `${key}=${show(value)}`)
            .join(" "),
        ])}
      />
      {span.links.length > 0 && (
        <div>
          <h3>Links</h3>
          <ul>
            {span.links.map(({ trace_id, span_id }) => (
              <li key={trace_id + span_id}>
                <a
                  href={urlOf({ trace: trace_id })}
                  onClick={(event) => follow(event, () => go({ trace: trace_id }))}
                >
                  trace {trace_id}
                </a>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function Facts({
  title,
  facts,
}: {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
}) {
  if (facts.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <dl>
        {facts.map(([name, value], index) => (
          <div key={`${name}${index}`}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
