import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import type { Flame } from "../../../answers/traces.ts";
import { duration, share } from "../../format/format.ts";
import { color } from "../../parts/colors.ts";

/** A flame graph on the page. */
export interface Drawing {
  /** Marks the frames whose names contain a text. */
  find(text: string): void;
  destroy(): void;
}

const CELL_PX = 22;
/** Hues of frames, by their names. */
const HUES = 14;

/** Draws a flame graph; frames can be reached by keyboard. */
export function draw(place: HTMLElement, data: Flame, onDetails: (text: string) => void): Drawing {
  const describe = (frame: Flame) =>
    `${frame.name}: ${duration(frame.value)}, ${share(frame.value / Math.max(1, data.value))} of the mean, in ${share(frame.count / Math.max(1, data.count))} of all`;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const chart = flamegraph()
    .width(place.clientWidth)
    .cellHeight(CELL_PX)
    .minFrameSize(1)
    .inverted(true)
    .sort(true)
    .title("")
    .transitionDuration(isStill ? 0 : 150)
    .getName((frame: { data: Flame }) => frame.data.name)
    .setColorMapper((frame: { data: Flame; highlight?: boolean }) =>
      frame.highlight ? color("found") : color(`hop-${hash(frame.data.name) % HUES}`),
    )
    .onHover((frame: { data: Flame }) => onDetails(describe(frame.data)))
    .setLabelHandler((frame: { data: Flame }) => describe(frame.data))
    .setSearchMatch((frame: { data: Flame }, term: string) =>
      frame.data.name.toLowerCase().includes(term.toLowerCase()),
    )
    .onClick(() => setTimeout(makeReachable, isStill ? 0 : 250));
  const makeReachable = () => {
    select(place)
      .selectAll<SVGGElement, { data: Flame }>("g.frame")
      .attr("tabindex", 0)
      .attr("role", "button")
      .attr("aria-label", (frame) => describe(frame.data));
  };
  select(place).datum(data).call(chart);
  select(place).select("svg").attr("role", "group").attr("aria-label", `Flame graph of ${data.name}`);
  makeReachable();
  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as Element;
    if (event.key === "Escape") chart.resetZoom();
    else if ((event.key === "Enter" || event.key === " ") && target.matches("g.frame")) {
      event.preventDefault();
      target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    }
  };
  const onFocus = (event: FocusEvent) => {
    const label = (event.target as Element).getAttribute("aria-label");
    if (label) onDetails(label);
  };
  place.addEventListener("keydown", onKeyDown);
  place.addEventListener("focusin", onFocus);
  const observer = new ResizeObserver(() => {
    if (place.clientWidth === chart.width() || place.clientWidth === 0) return;
    chart.width(place.clientWidth).update();
    makeReachable();
  });
  observer.observe(place);
  return {
    find: (text) => (text === "" ? chart.clear() : chart.search(text)),
    destroy() {
      observer.disconnect();
      place.removeEventListener("keydown", onKeyDown);
      place.removeEventListener("focusin", onFocus);
      chart.destroy();
    },
  };
}

function hash(text: string): number {
  let value = 7;
  for (const char of text) value = (value * 31 + (char.codePointAt(0) ?? 0)) % 65_521;
  return value;
}
