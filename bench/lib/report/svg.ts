/** Rounds a coordinate. */
export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Makes a text element. `attributes` start with a space. */
export function text(x: number, y: number, value: string, attributes = ""): string {
  const escaped = value.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<text x="${round(x)}" y="${round(y)}"${attributes}>${escaped}</text>`;
}

/** Makes a line element. */
export function line(x1: number, y1: number, x2: number, y2: number, stroke: string, width = 1): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map(round);
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="${stroke}" stroke-width="${width}"/>`;
}

/** Makes a document with a white ground and a title. */
export function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(16, 28, title, ' font-size="17" font-weight="600"'),
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}
