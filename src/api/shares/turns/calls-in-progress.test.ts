import { expect, test } from "vitest";
import { AuditServiceService } from "../../../gen/windhover/admin/v1/audit.ts";
import { HostsServiceService } from "../../../gen/windhover/admin/v1/hosts.ts";
import { MachinesServiceService } from "../../../gen/windhover/machines/v1/machines.ts";
import { CallsInProgress } from "./calls-in-progress.ts";

/** All that an api streams to organisations and operators. */
const SERVER_STREAMS = [MachinesServiceService, AuditServiceService, HostsServiceService]
  .flatMap((service) => Object.values(service))
  .filter(({ responseStream }) => responseStream)
  .map(({ path }) => path);
const WAIT = "/windhover.machines.v1.MachinesService/WaitMachine";
const START = "/windhover.machines.v1.MachinesService/StartMachine";

test("waits of an organisation are bounded apart from its calls, and from what others have", () => {
  const inProgress = new CallsInProgress({ calls: 1, streams: 2 });
  const first = inProgress.take({ org: "acme" }, WAIT);
  inProgress.take({ org: "acme" }, WAIT);

  expect(() => inProgress.take({ org: "acme" }, WAIT)).toThrow(
    expect.objectContaining({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_STREAMS",
      facts: { org: "acme", limit: "2", in_progress: "2" },
      retryAfterMs: 1_000,
    }),
  );
  inProgress.take({ org: "acme" }, START);
  expect(() => inProgress.take({ org: "acme" }, START)).toThrow(
    expect.objectContaining({ reason: "TOO_MANY_CALLS" }),
  );
  inProgress.take({ org: "umbrella" }, WAIT);
  expect([inProgress.calls, inProgress.streams]).toEqual([1, 3]);

  first();
  expect(() => inProgress.take({ org: "acme" }, WAIT)).not.toThrow();
});

test.each(SERVER_STREAMS)("%s, which lasts, leaves its organisation's calls alone", (path) => {
  const inProgress = new CallsInProgress({ calls: 1, streams: 1 });

  inProgress.take({ org: "acme" }, path);

  expect([inProgress.calls, inProgress.streams]).toEqual([0, 1]);
});
