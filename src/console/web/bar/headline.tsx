import type { Differences } from "../../answers/operations.ts";
import type { Overview } from "../../answers/overview.ts";
import type { HopShares } from "../../answers/panels.ts";
import { count, duration, share } from "../format/format.ts";
import { nameOf } from "../heat/differences.tsx";
import { go, toggled, view } from "../state/location.ts";

/** A hop explains slowness when so much of the difference between p50 and p99 is in it. */
const TELLING_HOP = 0.3;
/** An attribute explains it when it says so much. */
const TELLING_SCORE = 0.05;

/** Attributes that say how something was slow, not where to look. */
const EFFECTS: ReadonlySet<string> = new Set(["hop", "path", "machine", "reason"]);

/** Answers in words what the page is opened for. */
export function Headline({ data, noun }: { readonly data: Overview; readonly noun: string }) {
  const { all } = data.percentiles;
  const total = data.matching;
  const failures = view.value.outcome === "failed" ? total : total - all.count;
  return (
    <section class="headline area-headline" aria-label="Answer">
      <h1>
        {all.count === 0 ? (
          <>No {noun} succeeded in this period.</>
        ) : (
          <>
            Half of all {noun}s take up to <b>{duration(all.p50)}</b>; one in a hundred takes more than{" "}
            <b>{duration(all.p99)}</b>.
          </>
        )}
      </h1>
      <dl class="tiles">
        <Tile name={`${noun}s`} value={count(total)} />
        <Tile
          name="failed"
          value={count(failures)}
          note={total > 0 ? share(failures / total) : ""}
          isBad={failures > 0}
        />
        {(["p50", "p90", "p99", "max"] as const).map((line) => (
          <Tile key={line} name={line} value={all.count === 0 ? "–" : duration(all[line])} />
        ))}
      </dl>
      <p class="why">
        <Why
          hops={data.hops}
          attribute={data.differences?.attributes.find(({ dimension }) => !EFFECTS.has(dimension))}
          isBoxed={view.value.box !== undefined}
        />
      </p>
    </section>
  );
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
  readonly isBad?: boolean;
}

function Tile({ name, value, note = "", isBad = false }: TileProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isBad ? "worse" : ""}>
        {value} {note !== "" && <small>{note}</small>}
      </dd>
    </div>
  );
}

interface WhyProps {
  readonly hops: HopShares;
  readonly attribute: Differences["attributes"][number] | undefined;
  readonly isBoxed: boolean;
}

function Why({ hops, attribute, isBoxed }: WhyProps) {
  const hop = slowHop(hops);
  const isTelling = attribute !== undefined && attribute.score >= TELLING_SCORE;
  if (!hop && !isTelling) return <span class="muted">Nothing stands out that makes the slow ones slow.</span>;
  return (
    <>
      {hop && (
        <>
          The slow ones spend{" "}
          <button type="button" class="inline" onClick={() => go({ values: toggled("hop", hop.hop) })}>
            {duration(hop.slow)} in {hop.hop}
          </button>
          , a typical one {hop.typical === 0 ? "none" : duration(hop.typical)}.{" "}
        </>
      )}
      {isTelling && (
        <>
          <button
            type="button"
            class="inline"
            onClick={() => go({ values: toggled(attribute.dimension, attribute.value), box: undefined })}
          >
            {attribute.dimension} {nameOf(attribute.value)}
          </button>{" "}
          has {share(attribute.inside_share)} of {isBoxed ? "those in the box" : "the slowest tenth"}, and{" "}
          {share(attribute.outside_share)} of the others.
        </>
      )}
    </>
  );
}

/** Finds the hop in which most of the time between p50 and p99 is spent. */
function slowHop({ at }: HopShares): { hop: string; slow: number; typical: number } | undefined {
  const [typical, slow] = ["p50", "p99"].map((percentile) =>
    at.find((each) => each.percentile === percentile),
  );
  if (!typical || !slow || slow.count === 0) return undefined;
  const more = slow.hops
    .map(({ hop, us }) => ({
      hop,
      slow: us,
      typical: typical.hops.find((each) => each.hop === hop)?.us ?? 0,
    }))
    .sort((a, b) => b.slow - b.typical - (a.slow - a.typical));
  const [first] = more;
  const between = slow.duration_us - typical.duration_us;
  return first && between > 0 && first.slow - first.typical > TELLING_HOP * between ? first : undefined;
}
