import { palette } from "../state/theme.ts";

/** Start paths in the order of speed. Their colours are told apart with every kind of colour vision. */
const PATHS = ["resume", "snapshot", "warm", "template", "cold"] as const;

/** Hops beyond these colours begin anew; a label and a gap tell neighbours apart. */
const HOP_COLORS = 14;

const hopIndexes = new Map<string, number>();
const cache = new Map<string, string>();
let cachedPalette = -1;

/** Returns the value of a colour of the style sheet in the theme that is on. */
export function color(name: string): string {
  if (cachedPalette !== palette.value) {
    cache.clear();
    cachedPalette = palette.value;
  }
  const known = cache.get(name);
  if (known !== undefined) return known;
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  cache.set(name, value);
  return value;
}

/** Names the colour of a start path. */
export function pathColorName(path: string): string {
  return PATHS.some((each) => each === path) ? `path-${path}` : "path-none";
}

/** Names the colour of a hop; the same hop keeps its colour on all panels. */
export function hopColorName(hop: string): string {
  let index = hopIndexes.get(hop);
  if (index === undefined) {
    index = hopIndexes.size % HOP_COLORS;
    hopIndexes.set(hop, index);
  }
  return `hop-${index}`;
}

/** Gives colours to hops, the largest first, before any panel asks for one. */
export function nameHops(hops: readonly string[]): void {
  for (const hop of hops) hopColorName(hop);
}

export function pathLabel(path: string): string {
  return path === "" ? "no VM" : path;
}
