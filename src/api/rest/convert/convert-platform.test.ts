import { expect, test } from "vitest";
import { App } from "../../../gen/windhover/machines/v1/apps.ts";
import { Process, RunCommandResponse } from "../../../gen/windhover/machines/v1/exec.ts";
import { GetCallerResponse } from "../../../gen/windhover/machines/v1/platform.ts";
import {
  appToJson,
  callerToJson,
  commandToJson,
  placementsToJson,
  processToJson,
  regionsToJson,
} from "./convert-platform.ts";

test("an app has its organisation and counts", () => {
  const app = App.fromPartial({ name: "shop", org: "acme", machineCount: 2, orgName: "Acme Inc." });

  expect(appToJson(app)).toEqual({
    id: "shop",
    name: "shop",
    status: "deployed",
    machine_count: 2,
    volume_count: 0,
    network: "default",
    organization: { name: "Acme Inc.", slug: "acme" },
  });
  expect(appToJson({ ...app, machineCount: 0, network: "blue" })).toMatchObject({
    status: "pending",
    network: "blue",
  });
});

test("a process has whole numbers and its sockets", () => {
  const process = Process.fromPartial({
    pid: 7,
    command: "nginx -g daemon off;",
    directory: "/",
    cpuTime: { seconds: 1n, nanos: 500_400_000 },
    runTime: { seconds: 60n, nanos: 0 },
    residentBytes: 4096n,
    listenSockets: [{ protocol: "tcp", address: "0.0.0.0:80" }],
  });

  expect(processToJson(process)).toEqual({
    pid: 7,
    stime: 0,
    rtime: 60_000,
    command: "nginx -g daemon off;",
    directory: "/",
    cpu: 1_500,
    rss: 4096,
    listen_sockets: [{ proto: "tcp", address: "0.0.0.0:80" }],
  });
});

test("a command has its output as text and its signal as a number", () => {
  const killed = RunCommandResponse.fromPartial({
    exitCode: 137,
    signal: "SIGKILL",
    stdout: Buffer.from([0x61, 0xff]),
  });

  expect(commandToJson(killed)).toEqual({
    ...{ exit_code: 137, exit_signal: 9, stdout: "a\ufffd", stderr: "" },
    // Binary output is complete only in base64.
    stdout_base64: "Yf8=",
  });
  expect(commandToJson({ ...killed, signal: "" })).toMatchObject({ exit_signal: 0 });
  expect(commandToJson({ ...killed, stderrTruncated: true })).toMatchObject({ stderr_truncated: true });
});

test("regions have Fly's names", () => {
  const region = { code: "ord", name: "", latitude: 41.9, longitude: -87.9, group: "us" };

  expect(regionsToJson({ regions: [region], nearest: "ord" })).toEqual({
    regions: [
      {
        ...{ code: "ord", name: "ord", latitude: 41.9, longitude: -87.9, geo_region: "north_america" },
        ...{ gateway_available: true, requires_paid_plan: false, deprecated: false },
      },
    ],
    nearest: "ord",
  });
});

test("placements and the caller are lists", () => {
  const room = { region: "ord", count: 3, concurrency: 2 };

  expect(placementsToJson({ regions: [room] })).toEqual({ regions: [room] });
  expect(callerToJson(GetCallerResponse.fromPartial({ tokenId: "t1", org: "acme", subject: "me" }))).toEqual({
    tokens: [{ token_id: "t1", org_slug: "acme", organization: "acme", apps: [], user: "me" }],
  });
});

test("a restricted token says which apps or which machine it is restricted to", () => {
  const restricted = (...checks: string[]) => callerToJson(GetCallerResponse.fromPartial({ checks }));

  const apps = restricted('check if app("a") or app("b")', 'check if app("b")', 'check if action("x")');
  expect(apps).toMatchObject({ tokens: [{ apps: ["b"] }] });
  expect(restricted('check if machine("1f")')).toMatchObject({
    tokens: [{ apps: [], restricted_to_machine: "1f" }],
  });
  const mixed = restricted('check if app("a") or machine("1f")', 'check if machine("2") or machine("3")');
  expect(Object.keys(Object(mixed).tokens[0])).not.toContain("restricted_to_machine");
  expect(mixed).toMatchObject({ tokens: [{ apps: [] }] });
});
