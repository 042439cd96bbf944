import { count, duration } from "../format/format.ts";
import { exactClock } from "../format/time.ts";
import { Dominant, TraceLink } from "../panels/rows.tsx";
import { Icon } from "../parts/icons.tsx";
import { PathMark } from "../parts/swatch.tsx";
import { go } from "../state/location.ts";
import { held, isPaused, missed, pause, rows, state } from "./live.ts";

const STATES = {
  connecting: "connecting …",
  open: "as they end",
  lost: "lost; load the page again",
} as const;

/** Operations as they end, newest first. */
export function LivePanel({ noun }: { readonly noun: string }) {
  const most = Math.max(1, ...rows.value.map(({ durationUs }) => durationUs));
  return (
    <aside class="live" aria-label={`Live ${noun}s`}>
      <header>
        <h2>
          <i class={`live-dot ${state.value}`} /> Live
        </h2>
        <span class="note">
          {STATES[state.value]}
          {missed.value > 0 && `; ${count(missed.value)} of bursts are not listed`}
        </span>
        <button type="button" class="chip" aria-pressed={isPaused.value} onClick={pause}>
          <Icon name={isPaused.value ? "play" : "pause"} />{" "}
          {isPaused.value ? `Go on (${count(held.value)} new)` : "Pause"}
        </button>
        <button
          type="button"
          class="quiet square"
          aria-label="Close live"
          onClick={() => go({ isLive: false })}
        >
          <Icon name="close" />
        </button>
      </header>
      {rows.value.length === 0 ? (
        <p class="empty">
          Waiting for a {noun} that matches. It appears once its trace is whole, seconds after it ends.
        </p>
      ) : (
        <ol>
          {rows.value.map((row) => (
            <li key={row.traceId + row.spanId} class={row.reason === "" ? "" : "failed"}>
              <span class="muted">{exactClock(row.startUs / 1_000)}</span>
              <TraceLink row={row}>{duration(row.durationUs)}</TraceLink>
              <span class="length" aria-hidden="true">
                <i style={{ width: `${(100 * Math.log(1 + row.durationUs)) / Math.log(1 + most)}%` }} />
              </span>
              {row.reason === "" ? <PathMark path={row.path} /> : <b class="worse">✗ {row.reason}</b>}
              <span>{row.host}</span>
              <Dominant row={row} />
            </li>
          ))}
        </ol>
      )}
    </aside>
  );
}
