import { useMemo, useRef, useState } from "preact/hooks";
import type { Waterfall as Answer, WaterfallSpan } from "../../../answers/traces.ts";
import { duration, tick } from "../../format/format.ts";
import { hopColorName } from "../../parts/colors.ts";
import { SpanDetails } from "./details.tsx";

/** Spans shown at once; the rest by a button. */
const SHOWN = 400;
const TICKS = 6;

/** Spans over time: what each took, its own part of the critical path, and what is typical. */
export function Waterfall({ answer }: { readonly answer: Answer }) {
  const { spans } = answer;
  const [open, setOpen] = useState<string>();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [isCritical, setCritical] = useState(false);
  const [limit, setLimit] = useState(SHOWN);
  const list = useRef<HTMLDivElement>(null);
  const scale = useMemo(() => scaleOf(spans), [spans]);
  const visible = useMemo(() => visibleOf(spans, closed, isCritical), [spans, closed, isCritical]);

  const toggle = (span: WaterfallSpan, isClosed: boolean) => {
    const next = new Set(closed);
    if (isClosed) next.add(span.span_id);
    else next.delete(span.span_id);
    setClosed(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const rows = [...(list.current?.querySelectorAll<HTMLElement>("[data-span]") ?? [])];
    const index = rows.indexOf(document.activeElement as HTMLElement);
    const span = visible[index];
    if (index < 0 || !span) return;
    if (event.key === "ArrowDown") rows[index + 1]?.focus();
    else if (event.key === "ArrowUp") rows[index - 1]?.focus();
    else if (event.key === "Home") rows[0]?.focus();
    else if (event.key === "End") rows.at(-1)?.focus();
    else if (event.key === "ArrowLeft") toggle(span, true);
    else if (event.key === "ArrowRight") toggle(span, false);
    else if (event.key === "Enter" || event.key === " ")
      setOpen(open === span.span_id ? undefined : span.span_id);
    else return;
    event.preventDefault();
  };
  const first = visible[0]?.span_id;
  return (
    <section class="waterfall" aria-label="Waterfall">
      <header>
        <ul class="chart-key">
          <li>
            <i class="key-span" /> span
          </li>
          <li>
            <i class="key-critical" /> on the critical path
          </li>
          <li>
            <i class="key-typical" /> typical
          </li>
        </ul>
        <button type="button" class="chip" aria-pressed={isCritical} onClick={() => setCritical(!isCritical)}>
          Critical path only
        </button>
        <span class="muted">
          {visible.length} of {spans.length} spans
        </span>
        <Ruler scale={scale} />
      </header>
      <div ref={list} class="spans" role="tree" aria-label="Spans" onKeyDown={onKeyDown}>
        {visible.slice(0, limit).map((span) => (
          <SpanRow
            key={span.span_id}
            span={span}
            scale={scale}
            isFirst={span.span_id === first}
            isOpen={open === span.span_id}
            hasChildren={spans.some((each) => each.parent_span_id === span.span_id)}
            isClosed={closed.has(span.span_id)}
            onOpen={() => setOpen(open === span.span_id ? undefined : span.span_id)}
          />
        ))}
      </div>
      {visible.length > limit && (
        <button type="button" class="chip" onClick={() => setLimit(limit + SHOWN)}>
          Show {Math.min(SHOWN, visible.length - limit)} more
        </button>
      )}
    </section>
  );
}

/** The time that the width stands for. */
interface Scale {
  readonly fromUs: number;
  readonly spanUs: number;
}

function scaleOf(spans: readonly WaterfallSpan[]): Scale {
  const fromUs = Math.min(0, ...spans.map(({ offset_us }) => offset_us));
  const untilUs = Math.max(1, ...spans.map(({ offset_us, duration_us }) => offset_us + duration_us));
  return { fromUs, spanUs: untilUs - fromUs };
}

function visibleOf(
  spans: readonly WaterfallSpan[],
  closed: ReadonlySet<string>,
  isCritical: boolean,
): readonly WaterfallSpan[] {
  let below = Number.POSITIVE_INFINITY;
  return spans.filter((span) => {
    if (span.depth > below) return false;
    below = closed.has(span.span_id) ? span.depth : Number.POSITIVE_INFINITY;
    return !isCritical || span.critical.length > 0;
  });
}

interface SpanRowProps {
  readonly span: WaterfallSpan;
  readonly scale: Scale;
  readonly isFirst: boolean;
  readonly isOpen: boolean;
  readonly hasChildren: boolean;
  readonly isClosed: boolean;
  onOpen(): void;
}

function SpanRow({ span, scale, isFirst, isOpen, hasChildren, isClosed, onOpen }: SpanRowProps) {
  const critical = span.critical.reduce((sum, each) => sum + each.duration_us, 0);
  const more = [
    ...(span.typical_us === null ? [] : [`typically ${duration(span.typical_us)}`]),
    ...(critical > 0 ? [`${duration(critical)} on the critical path`] : []),
    ...(span.status === "error" ? ["failed"] : []),
  ];
  return (
    <>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the tree takes the keys */}
      <div
        role="treeitem"
        data-span={span.span_id}
        aria-level={span.depth + 1}
        aria-expanded={hasChildren ? !isClosed : undefined}
        aria-selected={isOpen}
        tabIndex={isFirst || isOpen ? 0 : -1}
        class={`span${isOpen ? " open" : ""}${span.status === "error" ? " error" : ""}`}
        onClick={onOpen}
      >
        <span
          class="name"
          style={{ paddingLeft: `${4 + Math.min(span.depth, 14) * 12}px` }}
          title={span.name}
        >
          <i class={`swatch ${hopColorName(span.hop)}`} />
          {span.status === "error" && <b class="worse">✗</b>}
          {span.name}
          {isClosed && hasChildren && <span class="muted"> …</span>}
        </span>
        <span class="service muted">{span.service}</span>
        <span class="time">{duration(span.duration_us)}</span>
        <span class="off-screen">{more.join(", ")}</span>
        <span class="track">
          <Bars span={span} scale={scale} />
        </span>
      </div>
      {isOpen && <SpanDetails span={span} />}
    </>
  );
}

function Bars({ span, scale }: { readonly span: WaterfallSpan; readonly scale: Scale }) {
  const place = (offsetUs: number, us: number) => ({
    left: `${(100 * (offsetUs - scale.fromUs)) / scale.spanUs}%`,
    width: `max(2px, ${(100 * us) / scale.spanUs}%)`,
  });
  return (
    <>
      {span.typical_us !== null && (
        <i
          class="typical"
          style={place(
            span.offset_us,
            Math.min(span.typical_us, scale.spanUs + scale.fromUs - span.offset_us),
          )}
        />
      )}
      <i class={`extent ${hopColorName(span.hop)}`} style={place(span.offset_us, span.duration_us)} />
      {span.critical.map((part) => (
        <i
          key={part.offset_us}
          class={`critical ${hopColorName(span.hop)}`}
          style={place(part.offset_us, part.duration_us)}
        />
      ))}
      {span.events.map((event) => (
        <i
          key={`${event.offset_us}${event.name}`}
          class="event"
          title={event.name}
          style={{ left: `${(100 * (event.offset_us - scale.fromUs)) / scale.spanUs}%` }}
        />
      ))}
    </>
  );
}

function Ruler({ scale }: { readonly scale: Scale }) {
  const step = niceStep(scale.spanUs / TICKS);
  const ticks: number[] = [];
  for (let us = 0; us <= scale.spanUs + scale.fromUs; us += step) ticks.push(us);
  return (
    <span class="ruler" aria-hidden="true">
      {ticks.map((us) => (
        <i key={us} style={{ left: `${(100 * (us - scale.fromUs)) / scale.spanUs}%` }}>
          {us === 0 ? "0" : tick(us)}
        </i>
      ))}
    </span>
  );
}

function niceStep(us: number): number {
  const decade = 10 ** Math.floor(Math.log10(Math.max(1, us)));
  return decade * ([1, 2, 5].find((each) => each * decade >= us) ?? 10);
}
