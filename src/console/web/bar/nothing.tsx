import type { Overview } from "../../answers/overview.ts";
import { count } from "../format/format.ts";
import { ago } from "../format/time.ts";
import { Copy } from "../parts/copy.tsx";
import { go, view, withoutFilters } from "../state/location.ts";

const COMMANDS: Readonly<Record<string, string>> = {
  start: "hover machine start ID",
  create: "hover machine run 127.0.0.1:5000/samples/hello -a web -p 8080",
  wake: "curl http://web.localhost:8080/",
  stop: "hover machine stop ID",
  suspend: "hover machine suspend ID",
};

/** What is shown instead of panels when nothing matches. */
export function Nothing({ data, noun }: { readonly data: Overview; readonly noun: string }) {
  const { kind, values, outcome, min, max, box, since } = view.value;
  const isFiltered =
    Object.keys(values).length > 0 || outcome !== "" || min !== "" || max !== "" || box !== undefined;
  return (
    <div class="trouble nothing">
      <h2>
        {isFiltered ? `No ${noun} matches` : data.kept === 0 ? `No traces yet` : `No ${noun} in this period`}
      </h2>
      {isFiltered && (
        <p>
          <button type="button" class="chip" onClick={() => go(withoutFilters())}>
            Clear the filters
          </button>
        </p>
      )}
      {!isFiltered && data.kept > 0 && (
        <p>
          {count(data.kept)} operations are kept, the oldest from {ago(data.oldest_ms, data.until_ms)}.{" "}
          {since !== "7d" && (
            <button type="button" class="chip" onClick={() => go({ since: "7d", until: "" })}>
              Look at 7 days
            </button>
          )}
        </p>
      )}
      {!isFiltered && (
        <p>
          Make a {noun}: <Copy text={COMMANDS[kind] ?? "hover --help"} label={`the command for a ${noun}`} />
          <span class="muted"> It appears here within seconds after it ends.</span>
        </p>
      )}
    </div>
  );
}
