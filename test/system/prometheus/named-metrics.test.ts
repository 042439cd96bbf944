import { expect, it } from "vitest";
import { metricsIn } from "./named-metrics.ts";

it.each([
  ['sum by (le, a) (rate(x_bucket{le="0.1", y=~"z|w"}[5m])) / 2e3', ["x_bucket"]],
  ["a:b:rate5m > 14.4 * 0.01 and on (c) d_total or vector(0)", ["a:b:rate5m", "d_total"]],
  ["label_values(m_total, instance)", ["m_total"]],
  [
    'topk(10, histogram_quantile(0.99, sum by (le) (rate(m_bucket{a="rate(b)"}[$__rate_interval]))))',
    ["m_bucket"],
  ],
])("finds the metrics of %s", (expression, names) => {
  expect(metricsIn(expression)).toEqual(names);
});
