import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { Dimension } from "../../answers/operations.ts";
import { latencyCommand } from "../state/command.ts";
import { view } from "../state/location.ts";
import { isStale } from "../state/queries.ts";
import { Copy } from "./copy.tsx";
import { Icon } from "./icons.tsx";

interface PanelProps {
  readonly title: string;
  /** What the panel says now, in few words. */
  readonly note?: ComponentChildren;
  /** Name of its place in the grid. */
  readonly area: string;
  readonly children: ComponentChildren;
  /** The same as a table, for a chart. */
  readonly table?: () => ComponentChildren;
  /** Groups of the command that answers the same in a terminal. */
  readonly by?: Dimension;
  readonly actions?: ComponentChildren;
  /** Instead of the content, when there is none. */
  readonly empty?: ComponentChildren;
}

/** A part of the page with a heading. */
export function Panel(props: PanelProps) {
  const id = useId();
  const [isTable, setTable] = useState(false);
  const { title, note, area, children, table, by, actions, empty } = props;
  return (
    <section class={`panel area-${area}`} aria-labelledby={id} aria-busy={isStale}>
      <header>
        <h2 id={id}>{title}</h2>
        {note !== undefined && <p class="note">{note}</p>}
        <div class="actions">
          {actions}
          {by !== undefined && (
            <Copy text={latencyCommand(view.value, by)} label={`command for ${title}`} isShown={false} />
          )}
          {table && (
            <button
              type="button"
              class="quiet square"
              aria-pressed={isTable}
              aria-label={`${title} as a table`}
              title={isTable ? "Show the chart" : "Show as a table"}
              onClick={() => setTable(!isTable)}
            >
              <Icon name={isTable ? "chart" : "table"} />
            </button>
          )}
        </div>
      </header>
      <div class="body">{empty ?? (isTable && table ? <div class="scroll">{table()}</div> : children)}</div>
    </section>
  );
}

/** What a panel shows that has nothing to show. */
export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}
