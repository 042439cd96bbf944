import { useState } from "preact/hooks";
import { DIMENSIONS, type Dimension } from "../../answers/operations.ts";
import { count } from "../format/format.ts";
import { describeBox } from "../heat/describe.ts";
import { nameOf } from "../heat/differences.tsx";
import { Copy } from "../parts/copy.tsx";
import { Icon } from "../parts/icons.tsx";
import { Menu } from "../parts/menu.tsx";
import { compareCommand, latencyCommand } from "../state/command.ts";
import { go, toggled, view, withoutFilters } from "../state/location.ts";
import { overview, values } from "../state/queries.ts";

/** The conditions that are set, and the command that sets the same in a terminal. */
export function FilterBar() {
  const { values: set, outcome, min, max, box } = view.value;
  const data = overview.value.data;
  const conditions = DIMENSIONS.flatMap((dimension) =>
    (set[dimension] ?? []).map((value) => ({ dimension, value })),
  );
  const hasAny = conditions.length > 0 || outcome !== "" || min !== "" || max !== "" || box !== undefined;
  return (
    <section class="filter-bar" aria-label="Filters">
      <AddFilter />
      <ul class="chips">
        {conditions.map(({ dimension, value }) => (
          <li key={`${dimension}=${value}`}>
            <Condition
              text={`${dimension} ${value.startsWith("!") ? `is not ${nameOf(value.slice(1))}` : `is ${nameOf(value)}`}`}
              onInvert={() => invert(dimension, value)}
              onRemove={() => go({ values: toggled(dimension, value) })}
            />
          </li>
        ))}
        {outcome !== "" && (
          <li>
            <Condition text={`outcome is ${outcome}`} onRemove={() => go({ outcome: "" })} />
          </li>
        )}
        {(min !== "" || max !== "") && (
          <li>
            <Condition
              text={min === "" ? `at most ${max}` : max === "" ? `at least ${min}` : `${min} to ${max}`}
              onRemove={() => go({ min: "", max: "" })}
            />
          </li>
        )}
        {box && (
          <li>
            <Condition text={`box ${describeBox(box)}`} onRemove={() => go({ box: undefined })} />
          </li>
        )}
        {hasAny && (
          <li>
            <button type="button" class="quiet" onClick={() => go(withoutFilters())}>
              Clear all
            </button>
          </li>
        )}
      </ul>
      <span class="matching" aria-live="polite">
        {data && view.value.page === "overview" ? (
          <>
            <b>{count(data.matching)}</b> match, {count(data.kept)} kept
          </>
        ) : null}
      </span>
      <Copy text={command()} label="the command for this view" />
    </section>
  );
}

function command(): string {
  const { page, a, b } = view.value;
  return page === "compare" && a !== "" && b !== "" ? compareCommand(a, b) : latencyCommand(view.value);
}

interface ConditionProps {
  readonly text: string;
  onRemove(): void;
  onInvert?(): void;
}

function Condition({ text, onRemove, onInvert }: ConditionProps) {
  return (
    <span class="condition">
      {onInvert ? (
        <button type="button" class="quiet" title="Turn into its opposite" onClick={onInvert}>
          {text}
        </button>
      ) : (
        <span>{text}</span>
      )}
      <button type="button" class="quiet square" aria-label={`Remove: ${text}`} onClick={onRemove}>
        <Icon name="close" />
      </button>
    </span>
  );
}

function invert(dimension: Dimension, value: string): void {
  const opposite = value.startsWith("!") ? value.slice(1) : `!${value}`;
  const given = view.value.values[dimension] ?? [];
  const next = given.map((each) => (each === value ? opposite : each));
  go({ values: { ...view.value.values, [dimension]: next } });
}

/** Values listed for a dimension, before the rest is found by typing. */
const LISTED = 40;

function AddFilter() {
  const [dimension, setDimension] = useState<Dimension>("host");
  const [text, setText] = useState("");
  const found = (values.value.data?.[dimension] ?? []).filter(({ value }) => value.includes(text));
  const chosen = view.value.values[dimension] ?? [];
  return (
    <Menu
      title="Add a filter"
      label={
        <>
          <Icon name="plus" /> Filter
        </>
      }
    >
      <div class="add-filter">
        <fieldset class="dimensions" aria-label="Attribute">
          {DIMENSIONS.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={each === dimension}
              onClick={() => setDimension(each)}
            >
              {each}
            </button>
          ))}
          <hr />
          {(["ok", "failed"] as const).map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={view.value.outcome === each}
              onClick={() => go({ outcome: view.value.outcome === each ? "" : each })}
            >
              {each === "ok" ? "succeeded" : each}
            </button>
          ))}
        </fieldset>
        <div class="values">
          <input
            type="search"
            value={text}
            placeholder={`Find a ${dimension}`}
            aria-label={`Find a ${dimension}`}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <ul aria-label={`Values of ${dimension}`}>
            {found.slice(0, LISTED).map(({ value, count: number }) => (
              <li key={value}>
                <button
                  type="button"
                  aria-pressed={chosen.includes(value)}
                  onClick={() => go({ values: toggled(dimension, value) })}
                >
                  <span>{nameOf(value)}</span>
                  <span class="muted">{count(number)}</span>
                </button>
              </li>
            ))}
          </ul>
          {found.length === 0 && (
            <p class="muted">{text === "" ? "No value in this period." : `No ${dimension} has “${text}”.`}</p>
          )}
        </div>
      </div>
    </Menu>
  );
}
