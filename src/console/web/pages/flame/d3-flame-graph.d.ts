/** The part of d3-flame-graph that the page uses; it comes without types. */
declare module "d3-flame-graph" {
  type Frame = { data: import("../../../answers/traces.ts").Flame; highlight?: boolean };

  interface FlameGraph {
    (selection: unknown): void;
    width(): number;
    width(px: number): FlameGraph;
    cellHeight(px: number): FlameGraph;
    minFrameSize(px: number): FlameGraph;
    inverted(isInverted: boolean): FlameGraph;
    sort(isSorted: boolean): FlameGraph;
    title(text: string): FlameGraph;
    transitionDuration(ms: number): FlameGraph;
    getName(name: (frame: Frame) => string): FlameGraph;
    setColorMapper(map: (frame: Frame, original: string) => string): FlameGraph;
    setLabelHandler(label: (frame: Frame) => string): FlameGraph;
    setSearchMatch(matches: (frame: Frame, term: string) => boolean): FlameGraph;
    onHover(hover: (frame: Frame) => void): FlameGraph;
    onClick(click: (frame: Frame) => void): FlameGraph;
    search(term: string): void;
    clear(): void;
    resetZoom(): void;
    update(): void;
    destroy(): void;
  }

  export default function flamegraph(): FlameGraph;
}
