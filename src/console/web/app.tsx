import type { ComponentType } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Overview } from "../answers/overview.ts";
import { FilterBar } from "./bar/filters.tsx";
import { Headline } from "./bar/headline.tsx";
import { Nothing } from "./bar/nothing.tsx";
import { TopBar } from "./bar/top-bar.tsx";
import { Trouble } from "./bar/trouble.tsx";
import { DifferencesPanel } from "./heat/differences.tsx";
import { HeatPanel } from "./heat/panel.tsx";
import { LivePanel } from "./live/live-panel.tsx";
import { Trace } from "./pages/trace/trace.tsx";
import { ConcurrencyPanel } from "./panels/concurrency.tsx";
import { CostPanel } from "./panels/cost.tsx";
import { HopsPanel } from "./panels/hops.tsx";
import { HostsPanel } from "./panels/hosts.tsx";
import { MixPanel } from "./panels/mix.tsx";
import { Objectives } from "./panels/objectives.tsx";
import { PercentilesPanel } from "./panels/percentiles.tsx";
import { PoolPanel, QueuePanel } from "./panels/pool.tsx";
import { FailedPanel, WorstPanel } from "./panels/rows.tsx";
import { announcement } from "./state/announcement.ts";
import { view } from "./state/location.ts";
import { isLate, overview } from "./state/queries.ts";

export function App() {
  const { page, isLive, trace, kind } = view.value;
  const noun = kind === "all" ? "operation" : kind;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the panels
      </a>
      <TopBar />
      <FilterBar />
      <div class={isLive ? "columns with-live" : "columns"}>
        <main id="main" tabIndex={-1}>
          {page === "overview" && <OverviewPage noun={noun} />}
          {page === "flame" && (
            <Lazy load={() => import("./pages/flame/flame.tsx").then((all) => all.FlamePage)} noun={noun} />
          )}
          {page === "compare" && (
            <Lazy load={() => import("./pages/compare/compare.tsx").then((all) => all.Compare)} noun={noun} />
          )}
        </main>
        {isLive && <LivePanel noun={noun} />}
      </div>
      {trace !== "" && <Trace />}
      <p class="off-screen" aria-live="polite">
        {announcement.value}
      </p>
    </>
  );
}

function OverviewPage({ noun }: { readonly noun: string }) {
  const { data, problem } = overview.value;
  // The same as long as the answer is: a change of the view draws no panel anew by itself.
  const panels = useMemo(() => data && <Panels data={data} noun={noun} />, [data, noun]);
  if (problem) return <Trouble problem={problem} />;
  if (!data) return <Skeleton />;
  const hasNone = data.matching === 0 && data.percentiles.all.count === 0 && !view.value.box;
  return (
    <div class={isLate.value ? "overview stale" : "overview"}>
      {hasNone ? <Nothing data={data} noun={noun} /> : panels}
    </div>
  );
}

function Panels({ data, noun }: { readonly data: Overview; readonly noun: string }) {
  const startsVm = noun === "start" || noun === "wake";
  return (
    <>
      <Headline data={data} noun={noun} />
      <Objectives objectives={data.objectives} />
      <HeatPanel data={data} noun={noun} />
      <DifferencesPanel differences={data.differences} noun={noun} />
      <PercentilesPanel data={data} noun={noun} />
      <HopsPanel hops={data.hops} kind={noun} />
      <HostsPanel hosts={data.hosts} noun={noun} />
      <MixPanel mix={data.mix} />
      {startsVm && <PoolPanel data={data} />}
      <QueuePanel data={data} />
      <ConcurrencyPanel groups={data.concurrency} noun={noun} />
      <WorstPanel rows={data.worst} noun={noun} />
      <FailedPanel rows={data.failed} noun={noun} />
      <CostPanel data={data} />
    </>
  );
}

const AREAS = ["headline", "objectives", "heat", "differences", "percentiles", "hops", "hosts", "mix"];

/** Takes the places of panels until the first answer is here. */
function Skeleton() {
  return (
    <div class="overview skeleton" aria-busy="true">
      <p class="off-screen">Loading</p>
      {AREAS.map((area) => (
        <div key={area} class={`panel area-${area}`} />
      ))}
    </div>
  );
}

interface LazyProps {
  readonly noun: string;
  load(): Promise<ComponentType<{ noun: string }>>;
}

/** A page whose code is loaded when it is opened. */
function Lazy({ noun, load }: LazyProps) {
  const [Loaded, setLoaded] = useState<ComponentType<{ noun: string }>>();
  useEffect(() => {
    void load().then((component) => setLoaded(() => component));
  }, []);
  return Loaded ? <Loaded noun={noun} /> : <p class="muted loading">Loading …</p>;
}
