import { dayAndClock, period, readInstant } from "../format/time.ts";
import { follow } from "../panels/hops.tsx";
import { Icon } from "../parts/icons.tsx";
import { Menu } from "../parts/menu.tsx";
import { reload } from "../state/load.ts";
import { go, parameters, urlOf, view } from "../state/location.ts";
import { switchTheme, theme } from "../state/theme.ts";
import { KIND_NAMES, type View } from "../state/view.ts";

const PERIODS = ["15m", "1h", "6h", "24h", "7d"] as const;
const PAGES = [
  ["overview", "Overview"],
  ["flame", "Flame graph"],
  ["compare", "Compare"],
] as const;
const FORMATS = [
  ["otlp", "OTLP JSON", "for Jaeger, Tempo, a collector"],
  ["json", "JSON", "one operation a line"],
  ["speedscope", "speedscope", "for speedscope.app"],
  ["csv", "CSV", "for a spreadsheet"],
] as const;

/** What is looked at: kind, period, page; and what can be done with it. */
export function TopBar() {
  return (
    <header class="top-bar">
      <a class="brand" href={location.pathname} onClick={(event) => follow(event, () => go(reset()))}>
        <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
          <path d="M1.5 11 5 5.5l2.5 3.2L10 3.5l4.5 7.5" />
        </svg>
        Windhover
      </a>
      <nav aria-label="What is measured" class="tabs">
        {KIND_NAMES.map((kind) => (
          <a
            key={kind}
            href={urlOf(kindChange(kind))}
            aria-current={view.value.kind === kind ? "true" : undefined}
            onClick={(event) => follow(event, () => go(kindChange(kind)))}
          >
            {kind === "all" ? "All" : `${kind[0]?.toUpperCase()}${kind.slice(1)}s`}
          </a>
        ))}
      </nav>
      <nav aria-label="Pages" class="pages">
        {PAGES.map(([page, title]) => (
          <a
            key={page}
            href={urlOf({ page, trace: "" })}
            aria-current={view.value.page === page ? "page" : undefined}
            onClick={(event) => follow(event, () => go({ page, trace: "" }))}
          >
            {title}
          </a>
        ))}
      </nav>
      <div class="tools">
        <Periods />
        <button
          type="button"
          class="chip"
          aria-pressed={view.value.isLive}
          title="Show operations as they end"
          onClick={() => go({ isLive: !view.value.isLive })}
        >
          <i class="live-dot" /> Live
        </button>
        <button
          type="button"
          class="quiet square"
          aria-label="Load again"
          title="Load again"
          onClick={reload}
        >
          <Icon name="reload" />
        </button>
        <ExportMenu />
        <button
          type="button"
          class="quiet square"
          aria-label={`Colours: ${theme.value}. Switch`}
          title={`Colours: ${theme.value === "system" ? "as the system's" : theme.value}`}
          onClick={switchTheme}
        >
          <Icon name={theme.value === "system" ? "half" : theme.value === "light" ? "sun" : "moon"} />
        </button>
      </div>
    </header>
  );
}

/** Another kind has other paths, hops and durations: those conditions go. */
function kindChange(kind: View["kind"]): Partial<View> {
  const { path: _, hop: __, ...values } = view.value.values;
  return { kind, values, box: undefined, min: "", max: "", trace: "" };
}

function reset(): Partial<View> {
  return {
    ...kindChange("start"),
    values: {},
    since: "1h",
    until: "",
    outcome: "",
    page: "overview",
    a: "",
    b: "",
  };
}

function Periods() {
  const { since, until } = view.value;
  const isRelative = until === "" && PERIODS.some((period) => period === since);
  return (
    <fieldset class="periods" aria-label="Period">
      {!isRelative && (
        <span class="custom" title={`${since} until ${until || "now"}`}>
          {readable(since, until)}
        </span>
      )}
      {PERIODS.map((period) => (
        <button
          key={period}
          type="button"
          aria-pressed={isRelative && period === since}
          title={`The last ${period}`}
          onClick={() => go({ since: period, until: "", box: undefined })}
        >
          {period}
        </button>
      ))}
    </fieldset>
  );
}

function readable(since: string, until: string): string {
  const [from, to] = [readInstant(since), readInstant(until)];
  if (from !== undefined && to !== undefined) return period(from, to);
  if (from !== undefined && until === "") return `${dayAndClock(from)} to now`;
  return until === "" ? `the last ${since}` : `${since} until ${until}`;
}

function ExportMenu() {
  const { trace } = view.value;
  const query = trace === "" ? parameters.value : `trace=${trace}`;
  return (
    <Menu
      label={
        <>
          <Icon name="download" /> Export
        </>
      }
      title="Export what is shown"
    >
      <p class="muted">{trace === "" ? "All operations that match" : "This trace"}</p>
      {FORMATS.map(([format, name, use]) => (
        <a key={format} href={`api/export?format=${format}${query === "" ? "" : `&${query}`}`} download>
          {name} <span class="muted">{use}</span>
        </a>
      ))}
    </Menu>
  );
}
