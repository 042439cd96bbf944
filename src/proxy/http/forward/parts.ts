import type { Router } from "../../route.ts";
import type { H1Backend } from "../backend/h1-backend.ts";
import type { H2Backend } from "../backend/h2-backend.ts";
import type { TapeBudget } from "../body-tape.ts";
import type { ReplayCache } from "../replay/replay-cache.ts";
import type { ProxySettings } from "./settings.ts";

/** What all requests share. */
export interface ProxyParts {
  readonly router: Router;
  readonly settings: ProxySettings;
  readonly h1: H1Backend;
  readonly h2: H2Backend;
  readonly replays: ReplayCache;
  readonly budget: TapeBudget;
}
