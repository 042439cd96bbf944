import { hopColorName, pathColorName, pathLabel } from "./colors.ts";

/** The colour of a start path, with the shape that its points have. */
export function PathMark({ path }: { readonly path: string }) {
  return (
    <span class="tag">
      <svg viewBox="-5 -5 10 10" width="10" height="10" aria-hidden="true">
        <path d={shapeOf(path)} fill={`var(--${pathColorName(path)})`} />
      </svg>
      {pathLabel(path)}
    </span>
  );
}

export function HopMark({ hop }: { readonly hop: string }) {
  return (
    <span class="tag">
      <i class="swatch" style={{ background: `var(--${hopColorName(hop)})` }} />
      {hop}
    </span>
  );
}

const SHAPES: Readonly<Record<string, string>> = {
  resume: "M0-4.5 4.5 4H-4.5Z",
  snapshot: "M0-4.8 4.8 0 0 4.8-4.8 0Z",
  warm: "M-4 0A4 4 0 1 0 4 0 4 4 0 1 0-4 0Z",
  template: "M-3.8-3.8H3.8V3.8H-3.8Z",
  cold: "M0 4.5 4.5-4H-4.5Z",
};

/** Draws the shape of a path's points around 0,0, some 9 wide. */
export function shapeOf(path: string): string {
  return SHAPES[path] ?? "M-4-1.5H4V1.5H-4Z";
}
