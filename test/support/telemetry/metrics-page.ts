import { registry } from "../../../src/lib/otel/metrics.ts";

/** The sum of a metric's samples with these labels, as Prometheus would read it now; undefined without any. */
export async function metric(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const values = (await registry.metrics()).split("\n").flatMap((line) => {
    const [, sample, inner = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const isMeant = sample === name && wanted.every((pair) => inner.split(/,(?=\w+=")/).includes(pair));
    return isMeant ? [Number(value)] : [];
  });
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}
