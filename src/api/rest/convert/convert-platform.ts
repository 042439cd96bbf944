import { isUtf8 } from "node:buffer";
import type { App, Hostname } from "../../../gen/windhover/machines/v1/apps.ts";
import type { Process, RunCommandResponse } from "../../../gen/windhover/machines/v1/exec.ts";
import type {
  EstimatePlacementsResponse,
  GetCallerResponse,
  ListRegionsResponse,
  Region,
} from "../../../gen/windhover/machines/v1/platform.ts";
import { durationFromProto } from "../../../lib/grpc/messages/duration.ts";
import { signalNumber } from "../../../lib/signals/signals.ts";
import type { JsonObject } from "./json.ts";

/** Fly's names of the groups of regions. */
const GEO_REGIONS = new Map([
  ["us", "north_america"],
  ["na", "north_america"],
  ["sa", "south_america"],
  ["eu", "europe"],
  ["apac", "asia_pacific"],
]);

/** Converts an app. Its name is its id, as names are unique. */
export function appToJson(app: App): JsonObject {
  const { name, org, network, machineCount, createTime } = app;
  return {
    id: name,
    name,
    status: machineCount > 0 ? "deployed" : "pending",
    machine_count: machineCount,
    volume_count: 0,
    network: network === "" ? "default" : network,
    organization: { name: app.orgName || org, slug: org },
    ...(createTime ? { created_at: createTime.getTime() } : {}),
  };
}

/** Converts a host name. One that every app has was added by nobody. */
export function hostnameToJson({ name, app, createTime }: Hostname): JsonObject {
  return { hostname: name, app, ...(createTime ? { created_at: createTime.toISOString() } : {}) };
}

/** Converts a process. Times are milliseconds, memory is bytes. */
export function processToJson(process: Process): JsonObject {
  return {
    pid: process.pid,
    stime: wholeMs(process.systemTime),
    rtime: wholeMs(process.runTime),
    command: process.command,
    directory: process.directory,
    cpu: wholeMs(process.cpuTime),
    rss: Number(process.residentBytes),
    listen_sockets: process.listenSockets.map(({ protocol, address }) => ({ proto: protocol, address })),
  };
}

/** Converts the result of a command. Output that is not UTF-8 has replacement characters, and comes as base64 too. */
export function commandToJson(done: RunCommandResponse): JsonObject {
  const { exitCode, signal, stdout, stderr, stdoutTruncated, stderrTruncated } = done;
  return {
    exit_code: exitCode,
    exit_signal: signalNumber(signal) ?? 0,
    ...outputToJson("stdout", stdout),
    ...outputToJson("stderr", stderr),
    ...(stdoutTruncated ? { stdout_truncated: true } : {}),
    ...(stderrTruncated ? { stderr_truncated: true } : {}),
  };
}

function outputToJson(name: "stdout" | "stderr", bytes: Buffer): JsonObject {
  const text = bytes.toString("utf8");
  return isUtf8(bytes) ? { [name]: text } : { [name]: text, [`${name}_base64`]: bytes.toString("base64") };
}

/** Converts the regions. */
export function regionsToJson({ regions, nearest }: ListRegionsResponse): JsonObject {
  return { regions: regions.map(regionToJson), nearest };
}

/** Converts estimates of placements. */
export function placementsToJson({ regions }: EstimatePlacementsResponse): JsonObject {
  return { regions: regions.map(({ region, count, concurrency }) => ({ region, count, concurrency })) };
}

/** Converts the caller: the apps or the machine are those that its token is restricted to. */
export function callerToJson({ tokenId, org, subject, checks }: GetCallerResponse): JsonObject {
  const [machine, ...others] = namedBy("machine", checks);
  return {
    tokens: [
      {
        token_id: tokenId,
        org_slug: org,
        organization: org,
        apps: namedBy("app", checks),
        user: subject,
        ...(machine === undefined || others.length > 0 ? {} : { restricted_to_machine: machine }),
      },
    ],
  };
}

/** Returns the objects that every check about nothing else names: `check if app("a") or app("b")`. */
function namedBy(kind: string, checks: readonly string[]): string[] {
  const term = `${kind}\\("([^"]+)"\\)`;
  const lists = checks
    .filter((check) => new RegExp(`^check if ${term}(?: or ${term})*$`).test(check))
    .map((check) => [...check.matchAll(new RegExp(term, "g"))].map(([, name = ""]) => name));
  const [first = [], ...others] = lists;
  return first.filter((name) => others.every((list) => list.includes(name)));
}

function regionToJson({ code, name, latitude, longitude, group }: Region): JsonObject {
  return {
    code,
    name: name === "" ? code : name,
    latitude,
    longitude,
    gateway_available: true,
    requires_paid_plan: false,
    deprecated: false,
    ...(group === "" ? {} : { geo_region: GEO_REGIONS.get(group) ?? group }),
  };
}

function wholeMs(duration: Process["cpuTime"]): number {
  return Math.round(durationFromProto(duration) ?? 0);
}
