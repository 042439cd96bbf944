import { duration } from "../format/format.ts";
import { hopColorName } from "./colors.ts";

export interface Part {
  readonly hop: string;
  readonly us: number;
}

interface StackProps {
  readonly parts: readonly Part[];
  readonly unexplainedUs?: number;
  /** Microseconds that the whole width stands for. */
  readonly scaleUs: number;
  readonly label: string;
  readonly isFaint?: boolean;
}

/** Parts that are narrower than this share of the width get no name. */
const NAMED_SHARE = 0.055;

/** Times one after the other, each as wide as it took. */
export function Stack({ parts, unexplainedUs = 0, scaleUs, label, isFaint = false }: StackProps) {
  const width = (us: number) => `${(100 * us) / Math.max(1, scaleUs)}%`;
  return (
    <div class={isFaint ? "stack faint" : "stack"} role="img" aria-label={label}>
      {parts
        .filter(({ us }) => us > 0)
        .map(({ hop, us }, place) => (
          <span
            key={place}
            class={`part ${hopColorName(hop)}`}
            style={{ width: width(us) }}
            title={`${hop}: ${duration(us)}`}
          >
            {us / scaleUs > Math.max(NAMED_SHARE, hop.length * 0.009) ? hop : ""}
          </span>
        ))}
      {unexplainedUs > 0 && (
        <span
          class="part unexplained"
          style={{ width: width(unexplainedUs) }}
          title={`unexplained: ${duration(unexplainedUs)}`}
        />
      )}
    </div>
  );
}

/** The same in a cell of a table, in one element: a box for each of hundreds of parts takes the browser long. */
export function Strip({ parts, unexplainedUs = 0, scaleUs, label }: StackProps) {
  const share = (us: number) => (100 * us) / Math.max(1, scaleUs);
  const stops: string[] = [];
  let end = 0;
  for (const { hop, us } of parts) {
    const begin = end;
    end += share(us);
    // A line between two parts, of those that are wide enough for one.
    stops.push(`var(--${hopColorName(hop)}) ${begin}% max(${begin}%, ${end}% - 1px)`);
    stops.push(`var(--surface) max(${begin}%, ${end}% - 1px) ${end}%`);
  }
  stops.push(`transparent ${end}%`);
  return (
    <div
      class="strip"
      role="img"
      aria-label={label}
      title={label}
      style={{ backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})` }}
    >
      <i class="unexplained" style={{ left: `${end}%`, width: `${share(unexplainedUs)}%` }} />
    </div>
  );
}

/** A share as a bar. The number is beside it. */
export function Meter({ share }: { readonly share: number }) {
  return (
    <span class="meter" aria-hidden="true">
      <i style={{ width: `${100 * Math.min(1, Math.max(0, share))}%` }} />
    </span>
  );
}

/** Heads a column of bars, which repeat the numbers beside them. */
export function BarHead() {
  return <span class="off-screen">as a bar</span>;
}
