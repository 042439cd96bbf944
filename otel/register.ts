// Loaded before a program with `node --import ./otel/register.ts`. The only module that acts when it is imported:
// tracing has to be there before anything makes its first span.
import { startTelemetry } from "../src/lib/otel/telemetry.ts";

startTelemetry(process.env);
