import type { HostsServiceServer } from "../../gen/windhover/admin/v1/hosts.ts";
import { invalid } from "../../lib/faults/fault.ts";
import { serverStream, unary } from "../../lib/grpc/server/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { schedulingFromProto, schedulingToProto } from "../hosts/convert-host.ts";
import { authorize } from "../requests/authorize.ts";
import { drainToProto, hostToProto } from "./convert-hosts.ts";
import type { HostLists } from "./host-lists.ts";
import { measureDrain } from "./metrics.ts";
import type { Operators } from "./operators.ts";

/** Serves hosts to operators. */
export function hostsService(lists: HostLists, operators: Operators, clock: Clock): HostsServiceServer {
  return {
    listHosts: unary(async (req, ctx) => {
      const hosts = await lists.list(req.region, authorize(ctx, "admin"));
      return { hosts: hosts.map((host) => hostToProto(host, clock.now())) };
    }),
    setHostScheduling: unary(async (req, ctx) => {
      const caller = authorize(ctx, "admin");
      const scheduling = schedulingFromProto(req.scheduling);
      if (scheduling !== "open" && scheduling !== "cordoned") {
        const description = "must be open or cordoned; to empty a host, use DrainHost";
        throw invalid([{ field: "scheduling", description }]);
      }
      const { host, previous } = await operators.setScheduling(req.host, scheduling, caller);
      return { hostNumber: host.number, previous: schedulingToProto(previous) };
    }),
    drainHost: serverStream(async function* (req, ctx) {
      const caller = authorize(ctx, "admin");
      for await (const progress of measureDrain(operators.drain(req.host, caller)))
        yield drainToProto(progress);
    }),
  };
}
