import { readFileSync } from "node:fs";
import { context, propagation, trace } from "@opentelemetry/api";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import type { TestFleet } from "../fleet.ts";

const TOKEN_SECONDS = 24 * 3_600;

/** Sends this process's spans to the fleet's receiver, so that a trace begins with the client's call. The answer ends that; one at a time. */
export async function traceClient(fleet: TestFleet): Promise<() => Promise<void>> {
  const key = readFileSync(fleet.signingKeyFile, "utf8");
  const claims = { subject: "client", org: "", scopes: ["telemetry"] } as const;
  const token = await mintToken(key, claims, TOKEN_SECONDS);
  // The exporter reads these from the environment itself.
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = fleet.traces;
  process.env["OTEL_EXPORTER_OTLP_HEADERS"] = `authorization=Bearer%20${token}`;
  const provider = startTelemetry({
    OTEL_EXPORTER_OTLP_ENDPOINT: fleet.traces,
    OTEL_SERVICE_NAME: "client",
  });
  return async () => {
    await provider.shutdown();
    for (const each of [trace, context, propagation]) each.disable();
    delete process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
    delete process.env["OTEL_EXPORTER_OTLP_HEADERS"];
  };
}
