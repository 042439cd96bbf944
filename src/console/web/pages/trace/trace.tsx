import { useEffect, useRef } from "preact/hooks";
import type { Row } from "../../../answers/operations.ts";
import type { Waterfall as Answer } from "../../../answers/traces.ts";
import { Trouble } from "../../bar/trouble.tsx";
import { duration, times } from "../../format/format.ts";
import { dayAndClock, exactClock } from "../../format/time.ts";
import { Stack } from "../../parts/bar.tsx";
import { Copy } from "../../parts/copy.tsx";
import { Icon } from "../../parts/icons.tsx";
import { HopMark, PathMark } from "../../parts/swatch.tsx";
import { go, toggled, view } from "../../state/location.ts";
import { waterfall } from "../../state/queries.ts";
import { Waterfall } from "./waterfall.tsx";

/** The waterfall of one trace, beside the page. */
export function Trace() {
  const dialog = useRef<HTMLDialogElement>(null);
  const { trace } = view.value;
  const close = () => go({ trace: "" });
  useEffect(() => {
    const element = dialog.current;
    if (!element || element.open) return undefined;
    element.showModal();
    // The first button would have the focus else, and look chosen.
    element.querySelector("h2")?.focus();
    return () => element.close();
  }, []);
  const { data, problem } = waterfall.value;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself
    <dialog
      ref={dialog}
      class="trace"
      aria-label={`Trace ${trace}`}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="trace-page">
        <div class="head">
          <h2 tabIndex={-1}>
            {data ? <Title answer={data} /> : "Trace"} <code class="muted">{trace}</code>
          </h2>
          <div class="actions">
            <ExportLinks trace={trace} />
            <button type="button" class="quiet square" aria-label="Close the trace" onClick={close}>
              <Icon name="close" />
            </button>
          </div>
        </div>
        {problem && <Trouble problem={problem} what="trace" />}
        {data && <Content answer={data} />}
        {!data && !problem && <p class="muted loading">Loading the trace …</p>}
      </div>
    </dialog>
  );
}

function Title({ answer }: { readonly answer: Answer }) {
  const first = mainOf(answer);
  if (!first) return <>Trace</>;
  const others = answer.operations.slice(1, 4);
  const verb = first.reason === "" ? "took" : "failed after";
  const title = `${first.kind[0]?.toUpperCase()}${first.kind.slice(1)}`;
  return (
    <>
      {title} {verb} {duration(first.durationUs)}
      {others.length > 0 && (
        <span class="muted">
          {" "}
          with {others.map(({ kind, durationUs }) => `a ${kind} of ${duration(durationUs)}`).join(" and ")} in
          it
        </span>
      )}
    </>
  );
}

/** The longest operation of the trace: a wake has a start in it. Times count from its begin. */
function mainOf({ operations }: Answer): Row | undefined {
  return operations[0];
}

function Content({ answer }: { readonly answer: Answer }) {
  const first = mainOf(answer);
  return (
    <>
      {first && <Summary row={first} answer={answer} />}
      <Waterfall key={answer.spans[0]?.span_id} answer={answer} />
      <Commands answer={answer} />
    </>
  );
}

/** The critical path by hop, and that of a typical operation below it on the same scale. */
function Summary({ row, answer }: { readonly row: Row; readonly answer: Answer }) {
  const { typical } = answer;
  const scaleUs = Math.max(row.durationUs, typical?.duration_us ?? 0);
  const hops = Object.entries(row.hops).map(([hop, us]) => ({ hop, us }));
  const dominant = row.hops[row.dominant] ?? 0;
  const usual = typical?.hops.find(({ hop }) => hop === row.dominant)?.us;
  return (
    <section class="trace-summary" aria-label="Summary">
      <p class="why">
        {row.reason !== "" && (
          <>
            <b class="worse">{row.reason}</b>.{" "}
          </>
        )}
        <HopMark hop={row.dominant} /> dominates with {duration(dominant)}
        {usual !== undefined && usual > 0 && (
          <>
            , typically {duration(usual)} ({times(dominant / usual)})
          </>
        )}
        .
        {typical && (
          <span class="muted">
            {" "}
            Typical: {duration(typical.duration_us)}, mean of {typical.count}.
          </span>
        )}
      </p>
      <div class="percentile-bars">
        <div class="percentile-bar">
          <span class="label">
            <b>this</b> {duration(row.durationUs)}
          </span>
          <Stack
            parts={hops.filter(({ hop }) => hop !== "unexplained")}
            unexplainedUs={row.unexplainedUs}
            scaleUs={scaleUs}
            label={`This one: ${hops.map(({ hop, us }) => `${hop} ${duration(us)}`).join(", ")}`}
          />
        </div>
        {typical && (
          <div class="percentile-bar">
            <span class="label">
              <b>typical</b> {duration(typical.duration_us)}
            </span>
            <Stack
              isFaint
              parts={typical.hops}
              scaleUs={scaleUs}
              label={`Typical: ${typical.hops.map(({ hop, us }) => `${hop} ${duration(us)}`).join(", ")}`}
            />
          </div>
        )}
      </div>
      <Attributes row={row} />
    </section>
  );
}

const ATTRIBUTES = ["host", "image", "app", "org", "region", "version", "size"] as const;

function Attributes({ row }: { readonly row: Row }) {
  const others: readonly (readonly [string, string])[] = [
    ["at", `${dayAndClock(row.startUs / 1_000)} (${exactClock(row.startUs / 1_000)})`],
    ["waiting", String(row.queueLength)],
    ["under way", String(row.concurrency)],
    ...(row.poolSize >= 0 ? ([["warm VMs", String(row.poolSize)]] as const) : []),
    ...(row.notFaster === "" ? [] : ([["not faster", row.notFaster.replaceAll("_", " ")]] as const)),
    ...(row.skewUs > 0 ? ([["clock corrected by", duration(row.skewUs)]] as const) : []),
  ];
  return (
    <dl class="attributes">
      {row.path !== "" && (
        <div>
          <dt>path</dt>
          <dd>
            <PathMark path={row.path} />
          </dd>
        </div>
      )}
      {ATTRIBUTES.filter((name) => row[name] !== "").map((name) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <button
              type="button"
              class="inline"
              title={`Show operations of ${name} ${row[name]} alone`}
              onClick={() =>
                go({ values: toggled(name, row[name]), trace: "", page: "overview", box: undefined })
              }
            >
              {row[name]}
            </button>
          </dd>
        </div>
      ))}
      {others.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** From the trace to the machine: what to type next. */
function Commands({ answer }: { readonly answer: Answer }) {
  const { trace } = view.value;
  const machine = answer.machine_id;
  const commands: readonly (readonly [string, string])[] = [
    ["this waterfall in a terminal", `hover trace ${trace}`],
    ...(machine === ""
      ? []
      : ([
          ["what happened to the machine", `hover machine events ${machine}`],
          ["what its program wrote", `hover machine logs ${machine} --since 1h`],
          ["its state now", `hover machine status ${machine}`],
        ] as const)),
  ];
  return (
    <section class="commands" aria-label="Commands">
      {commands.map(([what, command]) => (
        <p key={command}>
          <span class="muted">{what}</span>
          <Copy text={command} label={what} />
        </p>
      ))}
      {machine !== "" && (
        <p>
          <span class="muted">all its operations</span>
          <button
            type="button"
            class="inline"
            onClick={() =>
              go({ values: { machine: [machine] }, trace: "", page: "overview", box: undefined })
            }
          >
            machine {machine}
          </button>
        </p>
      )}
    </section>
  );
}

function ExportLinks({ trace }: { readonly trace: string }) {
  return (
    <span class="export-links">
      {(["otlp", "json", "speedscope", "csv"] as const).map((format) => (
        <a key={format} class="chip" href={`api/export?format=${format}&trace=${trace}`} download>
          {format}
        </a>
      ))}
    </span>
  );
}
