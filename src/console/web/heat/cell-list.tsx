import { useEffect, useRef, useState } from "preact/hooks";
import type { Points } from "../../answers/operations.ts";
import { counted, duration } from "../format/format.ts";
import { exactClock } from "../format/time.ts";
import { Icon } from "../parts/icons.tsx";
import { HopMark, PathMark } from "../parts/swatch.tsx";
import { type Problem, problemOf, request } from "../state/load.ts";
import { go, view } from "../state/location.ts";
import { type Box, writeFilter } from "../state/view.ts";
import { describeBox } from "./describe.ts";

interface CellListProps {
  readonly box: Box;
  readonly isFailed: boolean;
  readonly noun: string;
  onClose(): void;
}

/** At most so many are listed, slowest first. */
const SHOWN = 100;

/** The operations of one cell of the heat map. One alone is opened at once. */
export function CellList({ box, isFailed, noun, onClose }: CellListProps) {
  const [answer, setAnswer] = useState<Points>();
  const [problem, setProblem] = useState<Problem>();
  const dialog = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const abort = new AbortController();
    const query = writeFilter({ ...view.value, box, ...(isFailed ? { outcome: "failed" as const } : {}) });
    request<Points>(`api/points?${query}`, abort.signal).then(
      (found) => {
        const [only, ...others] = found.points;
        if (only && others.length === 0) {
          onClose();
          go({ trace: only.traceId });
        } else setAnswer(found);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setProblem(problemOf(error));
      },
    );
    dialog.current?.focus();
    return () => abort.abort();
  }, [box, isFailed]);
  const rows = [...(answer?.points ?? [])].sort((a, b) => b.durationUs - a.durationUs);
  return (
    <div
      ref={dialog}
      class="cell-list"
      role="dialog"
      aria-label={`${noun}s of the cell`}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <header>
        <b>{answer ? counted(rows.length, noun) : "Loading"}</b>
        <span class="muted">{isFailed ? "failed" : describeBox(box)}</span>
        <button type="button" class="quiet square" aria-label="Close the list" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {problem && <p class="problem">{problem.message}</p>}
      <ul>
        {rows.slice(0, SHOWN).map((row) => (
          <li key={`${row.traceId}${row.spanId}`}>
            <button
              type="button"
              class="quiet"
              onClick={() => {
                onClose();
                go({ trace: row.traceId });
              }}
            >
              <b>{duration(row.durationUs)}</b>
              <PathMark path={row.path} />
              <span>{row.host}</span>
              {row.reason === "" ? <HopMark hop={row.dominant} /> : <span class="reason">{row.reason}</span>}
              <span class="muted">{exactClock(row.startUs / 1_000)}</span>
            </button>
          </li>
        ))}
      </ul>
      {answer && rows.length === 0 && <p class="muted">Nothing is kept of this cell.</p>}
      {rows.length > SHOWN && <p class="muted">and {rows.length - SHOWN} faster ones</p>}
    </div>
  );
}
