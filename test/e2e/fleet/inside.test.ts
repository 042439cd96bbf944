import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { type Clients, clientsOf, configOf } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";
import { temporaryFolder } from "../../support/temporary.ts";

const ASK = [
  "probe ask GET /v1/machines/self",
  "probe ask GET /v1/apps/web/machines",
  "probe ask DELETE /v1/apps/web/machines/$FLY_MACHINE_ID",
  "probe ask GET /v1/apps/other/machines",
  "probe ask POST /v1/machines/self/stop",
  "sleep 1000",
].join("; ");

let fleet: TestFleet;
let clients: Clients;
beforeAll(async () => {
  fleet = await startFleet({ hosts: 1, vmm: "real" });
  clients = clientsOf(fleet.api, fleet.token);
  await pushImage(`http://${fleet.registry}`, "samples/probe", "1", image());
  await clients.createApp("web");
}, 600_000);
afterAll(async () => {
  clients?.close();
  await fleet?.close();
});

test("a program asks of its machine and its app without a token, and stops its machine", async () => {
  const config = configOf(`${fleet.registry}/samples/probe:1`, { init: { exec: ["/bin/sh", "-c", ASK] } });

  const { id } = await clients.create({ app: "web", config });

  await expect
    .poll(async () => (await clients.get(id)).state, { timeout: 60_000, interval: 200 })
    .toBe(MachineState.STOPPED);
  const lines = await clients.logs(id);
  expect(lines.filter((line) => line.startsWith("HTTP/"))).toEqual([
    ...["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 403 Forbidden", "HTTP/1.1 404 Not Found"],
    "HTTP/1.1 200 OK",
  ]);
  expect(lines[1]).toContain(`{"id":"${id}"`);
  expect(lines.some((line) => line.startsWith(`[{"id":"${id}"`))).toBe(true);
  const { events } = await clients.get(id);
  expect(events.find(({ type }) => type === "stop")).toMatchObject({ source: "machine" });
});

/** Busybox and the probe, in a root whose /.fly leads nowhere. */
function image() {
  const folder = temporaryFolder("probe");
  try {
    const probe = join(folder.path, "probe");
    const source = join(import.meta.dirname, "../support/probe.c");
    execFileSync("musl-gcc", ["-static", "-O1", "-s", "-D_GNU_SOURCE", "-o", probe, source]);
    const program = { mode: 0o755 } as const;
    const layer = [
      { path: "bin/busybox", content: readFileSync("/bin/busybox"), ...program },
      { path: "bin/probe", content: readFileSync(probe), ...program },
      { path: "bin/sh", type: "symlink", link: "busybox" } as const,
      { path: "bin/sleep", type: "symlink", link: "busybox" } as const,
      { path: ".fly", type: "symlink", link: "/nowhere" } as const,
    ];
    return buildImage({ layers: [layer], config: { Cmd: ["/bin/sh"] } });
  } finally {
    folder.remove();
  }
}
