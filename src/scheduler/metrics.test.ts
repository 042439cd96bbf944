import { expect, test } from "vitest";
import { TestHost } from "../../test/support/scheduler/fixture.ts";
import { setUp } from "../../test/support/scheduler/reservations.ts";
import { registry } from "../lib/otel/metrics.ts";
import type { Scheduling } from "./hosts/attached-host.ts";
import { exposeScheduler } from "./metrics.ts";

const NOTHING = { cpus: 0, memoryMb: 0, diskMb: 0 };

test("counts hosts by whether they take machines, and one without a status as open", async () => {
  const { hosts, reservations } = setUp(1);
  const host = (number: number, scheduling: Scheduling) =>
    new TestHost(hosts, number).host.seen({
      ...{ held: NOTHING, allocated: NOTHING, running: NOTHING },
      ...{ machines: {}, load: 0, warmVms: 0, scheduling },
    });
  host(2, "draining");
  host(3, "open");
  host(4, "draining");
  exposeScheduler(hosts, reservations);

  const { values } = (await registry.getSingleMetric("windhover_hosts")?.get()) ?? { values: [] };

  expect(Object.fromEntries(values.map(({ labels, value }) => [labels["scheduling"], value]))).toEqual({
    open: 2,
    cordoned: 0,
    draining: 2,
  });
});
