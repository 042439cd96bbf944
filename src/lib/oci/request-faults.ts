import type { FaultExtra } from "../faults/fault.ts";
import { imageFault, type Subject } from "./faults.ts";
import type { ImageSource } from "./image-source.ts";
import type { Hold } from "./rate-limits.ts";

interface Failed {
  readonly from: ImageSource;
  readonly path: string;
  readonly subject: Subject;
}

/**
 * Makes the fault for a host that cannot be reached: the same for a name without an address, an address that may not be
 * connected to, a closed port, and one where something else than HTTP answers.
 */
export function unreachable(registry: string, subject: Subject, cause: unknown) {
  const problem = `${registry} cannot be reached: check its name and port, and that it is up; operators list registries that speak plain HTTP in REGISTRY_INSECURE, and those at private addresses in REGISTRY_ALLOW_PRIVATE`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, { registry }, { cause });
}

/** Makes the fault for a status that no retry helps with. */
export function refused({ from, path, subject }: Failed, status: number, cause?: unknown) {
  const { registry, repository } = from;
  const facts = { registry, status: String(status) };
  const extra = cause === undefined ? {} : { cause };
  if (status === 401 || status === 403) {
    const problem = `${registry} does not let us pull ${repository} (${status}): it is private, or does not exist; check the name, or log in with \`hover registry login ${registry}\``;
    return imageFault("REGISTRY_UNAUTHORIZED", subject, problem, facts, extra);
  }
  if (status === 404) {
    const what = path.startsWith("blobs/")
      ? "a blob of it is missing there; push it again"
      : "check name and tag";
    return imageFault("IMAGE_NOT_FOUND", subject, `${registry} does not have it: ${what}`, facts, extra);
  }
  const problem = `${registry} answered ${status}, which is not the answer of an OCI registry; check the host and port`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, facts, extra);
}

/** Makes the fault for a status that stayed after retries. */
export function answered(
  { from: { registry }, subject }: Failed,
  status: number,
  attempts: number,
  retryAfterMs: number | undefined,
  cause: unknown,
) {
  const facts = { registry, status: String(status), attempts: String(attempts) };
  const extra: FaultExtra = { cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  if (status === 429) {
    const problem = `${registry} limits how often it is asked (429), in ${attempts} attempts; try again later, or log in with \`hover registry login ${registry}\` for a limit of your own`;
    return imageFault("REGISTRY_RATE_LIMITED", subject, problem, facts, extra);
  }
  const problem = `${registry} answered ${status}, in ${attempts} attempts; try again later`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, facts, extra);
}

/** Makes the fault for a registry that has said when to ask again. */
export function onHold({ from: { registry }, subject }: Failed, { status, untilMs }: Hold, nowMs: number) {
  const retryAfterMs = Math.max(0, untilMs - nowMs);
  const time = new Date(untilMs).toISOString();
  const seconds = String(Math.ceil(retryAfterMs / 1_000));
  const facts = { registry, status: String(status), retry_time: time, retry_after_s: seconds };
  const until = `it is not asked again before ${time}, in ${seconds} s`;
  if (status === 429) {
    const problem = `${registry} limits how often it is asked (429): ${until}; log in with \`hover registry login ${registry}\` for a limit of your own`;
    return imageFault("REGISTRY_RATE_LIMITED", subject, problem, facts, { retryAfterMs });
  }
  const problem = `${registry} is not available (${status}): ${until}`;
  return imageFault("REGISTRY_UNAVAILABLE", subject, problem, facts, { retryAfterMs });
}
