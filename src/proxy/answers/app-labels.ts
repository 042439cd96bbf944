/** Apps with metrics of their own. */
export interface AppLabelLimits {
  readonly total: number;
  readonly perOrg: number;
}

/** Label of apps beyond the limits. */
const OTHERS = "_other";
/** Label of requests for no app. */
const NOBODY = "_none";

/** Names apps in metrics. Those beyond the limits share one label, so that the page stays small. */
export class AppLabels {
  readonly #limits: AppLabelLimits;
  readonly #apps = new Set<string>();
  readonly #counts = new Map<string, number>();

  constructor(limits: AppLabelLimits) {
    this.#limits = limits;
  }

  /** Returns the label of an app, which it keeps. @param app empty: none */
  of(app: string, org: string): string {
    if (app === "") return NOBODY;
    if (this.#apps.has(app)) return app;
    const count = this.#counts.get(org) ?? 0;
    if (this.#apps.size >= this.#limits.total || count >= this.#limits.perOrg) return OTHERS;
    this.#apps.add(app);
    this.#counts.set(org, count + 1);
    return app;
  }
}
