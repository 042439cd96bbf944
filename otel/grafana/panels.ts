import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import {
  PanelBuilder as HeatmapBuilder,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapTooltipBuilder,
  YAxisConfigBuilder,
} from "@grafana/grafana-foundation-sdk/heatmap";
import {
  PromQueryFormat,
  DataqueryBuilder as PromqlBuilder,
} from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { SearchTableType, DataqueryBuilder as TraceqlBuilder } from "@grafana/grafana-foundation-sdk/tempo";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** A query in PromQL and the legend of its series. */
export type Query = readonly [expression: string, legend: string];

/** What a panel shows, besides its queries. */
interface Look {
  readonly title: string;
  /** What to read from it. */
  readonly description: string;
  /** Of Grafana: `s`, `short`, `percentunit`, `bytes`, `reqps`, `ops`, ... */
  readonly unit: string;
  /** Columns of 24. Default 8. */
  readonly width?: number;
  readonly isStacked?: boolean;
  /** Points with traces. */
  readonly hasExemplars?: boolean;
  readonly isLogarithmic?: boolean;
}

const PROMETHEUS = { type: "prometheus", uid: "$prometheus" };
const TEMPO = { type: "tempo", uid: "$tempo" };
const HEIGHT = 8;

/** Begins a dashboard. Where its metrics and traces come from are variables. */
export function dashboard(name: string, title: string, description: string): DashboardBuilder {
  return new DashboardBuilder(`Windhover: ${title}`)
    .uid(`windhover-${name}`)
    .description(description)
    .tags(["windhover"])
    .timezone("browser")
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .tooltip(DashboardCursorSync.Crosshair)
    .link(
      new DashboardLinkBuilder("Windhover")
        .type(DashboardLinkType.Dashboards)
        .tags(["windhover"])
        .keepTime(true)
        .asDropdown(true),
    )
    .withVariable(new DatasourceVariableBuilder("prometheus").label("Prometheus").type("prometheus"))
    .withVariable(new DatasourceVariableBuilder("tempo").label("Tempo").type("tempo"));
}

/** Makes a variable of the values of a label, all of them by default. */
export function labelVariable(name: string, title: string, metric: string, label: string) {
  const query = `label_values(${metric}, ${label})`;
  return new QueryVariableBuilder(name)
    .label(title)
    .datasource(PROMETHEUS)
    .query({ query, refId: name })
    .definition(query)
    .multi(true)
    .includeAll(true)
    .allValue(".*")
    .current({ text: "All", value: "$__all" })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);
}

export function row(title: string): RowBuilder {
  return new RowBuilder(title);
}

/** Draws queries over time. */
export function graph(look: Look, ...queries: readonly Query[]): TimeseriesBuilder {
  const panel = new TimeseriesBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(PROMETHEUS)
    .height(HEIGHT)
    .span(look.width ?? 8)
    .unit(look.unit)
    .min(0)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(look.isStacked ? 60 : 8)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    );
  if (look.isStacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  if (look.isLogarithmic)
    panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  return panel.targets(
    queries.map((query, index) => promql(query, index).exemplar(look.hasExemplars ?? false)),
  );
}

/** Shows the last value of a query. */
export function stat(look: Look, query: Query): StatBuilder {
  return new StatBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(PROMETHEUS)
    .height(4)
    .span(look.width ?? 4)
    .unit(look.unit)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(BigValueColorMode.None)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .withTarget(promql(query, 0));
}

/** Draws the buckets of a histogram over time, with traces as points. */
export function heatmap(look: Look, buckets: string): HeatmapBuilder {
  return new HeatmapBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(PROMETHEUS)
    .height(HEIGHT + 2)
    .span(look.width ?? 24)
    .calculate(false)
    .yAxis(new YAxisConfigBuilder().unit(look.unit))
    .color(
      new HeatmapColorOptionsBuilder()
        .mode(HeatmapColorMode.Scheme)
        .scheme("Oranges")
        .exponent(0.5)
        .steps(64),
    )
    .tooltip(new HeatmapTooltipBuilder().mode(TooltipDisplayMode.Single).yHistogram(true))
    .withTarget(promql([buckets, "{{le}}"], 0).format(PromQueryFormat.Heatmap).exemplar(true));
}

/** Lists traces that a TraceQL query finds. */
export function traces(look: Look, query: string): TableBuilder {
  return new TableBuilder()
    .title(look.title)
    .description(look.description)
    .datasource(TEMPO)
    .height(HEIGHT + 2)
    .span(look.width ?? 24)
    .withTarget(
      new TraceqlBuilder()
        .refId("A")
        .datasource(TEMPO)
        .queryType("traceql")
        .query(query)
        .limit(20)
        .tableType(SearchTableType.Traces),
    );
}

function promql([expression, legend]: Query, index: number): PromqlBuilder {
  return new PromqlBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(PROMETHEUS)
    .expr(expression)
    .legendFormat(legend)
    .range();
}

/** Percentiles of a histogram, by `by` besides `le`. */
export function quantiles(metric: string, matchers: string, by?: string): readonly Query[] {
  const labels = by === undefined ? "le" : `le, ${by}`;
  return [0.5, 0.9, 0.99].map((quantile) => [
    `histogram_quantile(${quantile}, sum by (${labels}) (rate(${metric}_bucket{${matchers}}[$__rate_interval])))`,
    by === undefined ? `p${quantile * 100}` : `{{${by}}} p${quantile * 100}`,
  ]);
}
