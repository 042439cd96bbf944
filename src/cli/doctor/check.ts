/** One thing that `hover doctor` has looked at. */
export interface Check {
  readonly name: string;
  /** `skip`: could not be looked at, because something before it failed. */
  readonly status: "ok" | "warn" | "fail" | "skip";
  /** What was found. */
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}
