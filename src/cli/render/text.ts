/** Columns of a text on a screen. Colours do not count. */
export function displayWidth(text: string): number {
  let width = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with an escape
  for (const char of text.replace(/\x1b\[[0-9;]*m/g, "")) {
    if (!/[\p{Mn}\p{Me}\p{Cf}]/u.test(char)) width += WIDE.test(char) ? 2 : 1;
  }
  return width;
}

/** Cuts the text with an ellipsis, or fills it up with blanks, to `width` columns. */
export function fitTo(text: string, width: number, align: "left" | "right" = "left"): string {
  const cut = cutTo(text, width);
  const blanks = " ".repeat(Math.max(0, width - displayWidth(cut)));
  return align === "left" ? cut + blanks : blanks + cut;
}

/** Cuts the end (or start) of a longer text. For text without colours. */
export function cutTo(text: string, width: number, lose: "end" | "start" = "end"): string {
  if (displayWidth(text) <= width) return text;
  if (width < 1) return "";
  const chars = lose === "end" ? [...text] : [...text].reverse();
  const kept: string[] = [];
  let used = 1;
  for (const char of chars) {
    used += displayWidth(char);
    if (used > width) break;
    kept.push(char);
  }
  return lose === "end" ? `${kept.join("")}…` : `…${kept.reverse().join("")}`;
}

/** East Asian wide and emoji, roughly: what terminals show in two columns. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
