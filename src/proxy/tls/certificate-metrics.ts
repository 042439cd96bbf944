import { gauge } from "../../lib/otel/metrics.ts";
import type { Certificates } from "./certificates.ts";

/** Adds the metrics of certificates. Must be called once. */
export function exposeCertificates(certificates: Pick<Certificates, "expiryMs" | "broken">): void {
  gauge(
    "windhover_proxy_certificate_expiry_timestamp_seconds",
    "When the first of the certificates expires, in seconds since the epoch.",
    () => (certificates.expiryMs ?? Number.NaN) / 1_000,
  );
  gauge(
    "windhover_proxy_certificates_broken",
    "Certificates that cannot be read; those before them are in use.",
    () => certificates.broken,
  );
}
