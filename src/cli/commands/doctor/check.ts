export interface Check {
  readonly name: string;
  /** `skip`: not checked, because an earlier check failed. */
  readonly status: "ok" | "warn" | "fail" | "skip";
  readonly detail: string;
  readonly fix?: string;
}

/** Skips checks for a reason. */
export function* skipped(names: readonly string[], why: string): Generator<Check> {
  for (const name of names) yield { name, status: "skip", detail: why };
}

/** The fix for a part of the local fleet that does not run. */
export function upCommand(root: string): string {
  return `npm run up   (in ${root})`;
}

export const WRONG_TOKEN_FIX = "check that WINDHOVER_DIR and WINDHOVER_TOKEN belong to this fleet";
