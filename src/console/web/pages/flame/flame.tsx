import { useEffect, useRef, useState } from "preact/hooks";
import type { Flame } from "../../../answers/traces.ts";
import { Trouble } from "../../bar/trouble.tsx";
import { counted, duration, share } from "../../format/format.ts";
import { Empty, Panel } from "../../parts/panel.tsx";
import { Table } from "../../parts/table.tsx";
import { flame } from "../../state/queries.ts";
import { type Drawing, draw } from "./draw.ts";

/** Critical paths of all that match, merged by name. */
export function FlamePage({ noun }: { readonly noun: string }) {
  const { data, problem, isLoading } = flame.value;
  const [text, setText] = useState("");
  if (problem) return <Trouble problem={problem} />;
  if (!data) return <p class="muted loading">{isLoading ? "Merging critical paths …" : ""}</p>;
  const frames = framesOf(data);
  return (
    <div class="flame-page">
      <h1 class="off-screen">Flame graph of {noun}s</h1>
      <Panel
        title={`Critical paths of ${counted(data.count, noun)}, merged`}
        area="flame"
        note={`mean ${duration(data.value)}; as wide as the mean time of each`}
        actions={
          <input
            type="search"
            class="find"
            placeholder="Find a span"
            aria-label="Find a span"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        }
        empty={data.count === 0 ? <Empty>No {noun} matches.</Empty> : undefined}
        table={() => (
          <Table
            label="Frames of the flame graph"
            rows={frames}
            rowKey={({ path }) => path}
            columns={[
              {
                name: "Span",
                isWide: true,
                cell: ({ name, depth }) => <span style={{ paddingLeft: `${depth * 14}px` }}>{name}</span>,
              },
              { name: "Mean", isNumber: true, cell: ({ value }) => duration(value) },
              { name: "Own", isNumber: true, cell: ({ own }) => duration(own) },
              { name: "Share", isNumber: true, cell: ({ value }) => share(value / Math.max(1, data.value)) },
              { name: "In", isNumber: true, cell: ({ count }) => share(count / Math.max(1, data.count)) },
            ]}
          />
        )}
      >
        <FlameGraph data={data} text={text} />
      </Panel>
    </div>
  );
}

function FlameGraph({ data, text }: { readonly data: Flame; readonly text: string }) {
  const place = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing>(undefined);
  const [details, setDetails] = useState("");
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    drawing.current = draw(element, data, setDetails);
    return () => drawing.current?.destroy();
  }, [data]);
  useEffect(() => drawing.current?.find(text), [text, data]);
  return (
    <>
      <div ref={place} class="flame" />
      <p class="flame-details" aria-live="polite">
        {details || (
          <span class="muted">Click, or Tab and Enter, widens a frame; Escape shows all again.</span>
        )}
      </p>
    </>
  );
}

interface Frame {
  readonly path: string;
  readonly name: string;
  readonly depth: number;
  readonly value: number;
  readonly own: number;
  readonly count: number;
}

function framesOf(flame: Flame, depth = 0, above = ""): readonly Frame[] {
  const path = `${above}/${flame.name}`;
  const below = flame.children.reduce((sum, each) => sum + each.value, 0);
  const own = {
    path,
    name: flame.name,
    depth,
    value: flame.value,
    own: Math.max(0, flame.value - below),
    count: flame.count,
  };
  const children = [...flame.children].sort((a, b) => b.value - a.value);
  return [own, ...children.flatMap((child) => framesOf(child, depth + 1, path))];
}
