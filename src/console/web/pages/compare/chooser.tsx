import { useState } from "preact/hooks";
import { clock } from "../../format/time.ts";
import { go, view } from "../../state/location.ts";
import { overview, values } from "../../state/queries.ts";
import { aroundInstant, byValues, periodOf, type Sets, withPeriodBefore } from "./sets.ts";

const DIMENSIONS = ["host", "version", "image", "path", "size"] as const;
type Chosen = (typeof DIMENSIONS)[number];

/** Chooses what is compared: periods, or values of an attribute. */
export function Chooser() {
  const [dimension, setDimension] = useState<Chosen>("host");
  const found = (values.value.data?.[dimension] ?? []).map(({ value }) => value);
  const [a, setA] = useState("");
  const [b, setB] = useState("");
  const show = (sets: Sets) => go({ ...sets, page: "compare" });
  const now = Date.now();
  const [fromMs, untilMs] = periodOf(view.value, now);
  const marks = (overview.value.data?.heat.marks ?? []).filter(({ kind }) => kind === "version");
  const first = a || found[0] || "";
  const second = b || (first === "" ? "" : `!${first}`);
  return (
    <section class="chooser" aria-label="What to compare">
      <div class="choice">
        <h2>Periods</h2>
        <button type="button" class="chip" onClick={() => show(withPeriodBefore(view.value, now))}>
          {clock(fromMs)} to {clock(untilMs)} with the same time before
        </button>
        <button
          type="button"
          class="chip"
          onClick={() => show(aroundInstant(view.value, (fromMs + untilMs) / 2, now))}
        >
          First half with second half
        </button>
        {marks.slice(-3).map(({ timeMs, label }) => (
          <button
            key={timeMs}
            type="button"
            class="chip"
            onClick={() => show(aroundInstant(view.value, timeMs, now))}
          >
            Before and after {label} ({clock(timeMs)})
          </button>
        ))}
      </div>
      <form
        class="choice"
        onSubmit={(event) => {
          event.preventDefault();
          if (first !== "" && second !== "") show(byValues(view.value, dimension, first, second));
        }}
      >
        <h2>Values</h2>
        <select
          aria-label="Attribute"
          value={dimension}
          onChange={(event) => {
            setDimension(DIMENSIONS.find((each) => each === event.currentTarget.value) ?? "host");
            setA("");
            setB("");
          }}
        >
          {DIMENSIONS.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
        <select aria-label="A" value={first} onChange={(event) => setA(event.currentTarget.value)}>
          {found.map((value) => (
            <option key={value} value={value}>
              {value || "(none)"}
            </option>
          ))}
        </select>
        <span>with</span>
        <select aria-label="B" value={second} onChange={(event) => setB(event.currentTarget.value)}>
          <option value={`!${first}`}>all others</option>
          {found
            .filter((value) => value !== first)
            .map((value) => (
              <option key={value} value={value}>
                {value || "(none)"}
              </option>
            ))}
        </select>
        <button type="submit" class="chip strong">
          Compare
        </button>
      </form>
    </section>
  );
}
