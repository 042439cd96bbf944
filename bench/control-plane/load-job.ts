/** What the process that makes load is told, once, before anything else. */
export interface LoadSettings {
  readonly api: string;
  readonly token: string;
  readonly app: string;
  readonly image: string;
}

/** What it is to do: so many at once, until all are done. */
export type LoadJob = { readonly atOnce: number } & (
  | { readonly kind: "create"; readonly count: number }
  | { readonly kind: "start" | "stop" | "destroy"; readonly ids: readonly string[] }
);

/** How that went. */
export type LoadOutcome =
  | {
      readonly ok: true;
      /** What each call took, in milliseconds. */
      readonly ms: readonly number[];
      /** From the first call to the last answer. */
      readonly wallMs: number;
      /** The machines that were created. */
      readonly ids: readonly string[];
    }
  | { readonly ok: false; readonly error: string };
