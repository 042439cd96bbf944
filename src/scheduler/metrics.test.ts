import { expect, test } from "vitest";
import { registry } from "../lib/otel/metrics.ts";
import { exposeScheduler } from "./metrics.ts";

test("hosts are counted by whether they take machines; one that has not said so does", async () => {
  const said = (scheduling: string) => ({ status: { scheduling } });
  const hosts = [said("draining"), said("open"), { status: undefined }, said("draining")];
  exposeScheduler({
    hosts: { size: hosts.length, all: () => hosts, refusals: { inBackoff: () => 0 } },
    reservations: { running: 0 },
  });

  const { values } = (await registry.getSingleMetric("windhover_hosts")?.get()) ?? { values: [] };

  expect(Object.fromEntries(values.map(({ labels, value }) => [labels["scheduling"], value]))).toEqual({
    open: 2,
    cordoned: 0,
    draining: 2,
  });
});
