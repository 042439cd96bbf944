/** What an answer says of the start that its request waited for. Times are in milliseconds. */
export interface StartReport {
  readonly startPath: string;
  readonly queueMs: number;
  readonly startMs: number;
  readonly readyMs: number;
}

/** Reads `x-windhover-start`. Undefined: the request waited for no start. @throws Error for another form */
export function parseStartReport(value: string | undefined): StartReport | undefined {
  if (value === undefined) return undefined;
  const parts = new Map(
    value.split("; ").map((part) => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)] as const;
    }),
  );
  const ms = (name: string) => {
    const found = /^(\d+)ms$/.exec(parts.get(name) ?? "");
    if (found === null) throw new Error(`x-windhover-start has no ${name}: ${value}`);
    return Number(found[1]);
  };
  const startPath = parts.get("path") ?? "";
  return { startPath, queueMs: ms("queue"), startMs: ms("start"), readyMs: ms("ready") };
}
