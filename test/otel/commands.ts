/** As docs/observability.md has them: arguments of the collector and of Jaeger. */
export const COLLECTOR_COMMAND = "--config otel/collector.yaml";
export const JAEGER_COMMAND = "--config otel/jaeger.yaml";
