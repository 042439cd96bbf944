import { Host, type HostsServiceServer } from "../../gen/windhover/admin/v1/hosts.ts";
import { invalid } from "../../lib/faults/fault.ts";
import { serverStream, unary } from "../../lib/grpc/server/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { schedulingFromProto, schedulingToProto } from "../hosts/convert-host.ts";
import { authorize } from "../requests/authorize.ts";
import { readPage } from "../requests/pages.ts";
import { drainToProto, type HostFacts, hostToProto } from "./convert-hosts.ts";
import { drain, type OperatorParts, setScheduling } from "./drain.ts";
import { type HostSources, listHosts } from "./list-hosts.ts";
import { measureDrain } from "./metrics.ts";

/** Of a list without a page size. */
const MAX_HOSTS = 1_048_576;

export function hostsService(parts: OperatorParts & HostSources, clock: Clock): HostsServiceServer {
  return {
    listHosts: unary(async (req, ctx) => {
      const hosts = await listHosts(parts, req.region, authorize(ctx, "admin"));
      const { pageSize = MAX_HOSTS, pageToken = "" } = req;
      const { items, nextPageToken } = await readPage(
        { pageSize, pageToken },
        {
          name: `hosts/${req.region}`,
          keyForms: ["number"],
          keysOf: ({ number }: HostFacts) => [String(number)],
          read: ([after] = ["-1"], limit) =>
            hosts.filter(({ number }) => number > Number(after)).slice(0, limit),
          toProto: (host) => hostToProto(host, clock.now()),
          bytesOf: (host) => Host.encode(host).finish().length,
        },
        req.pageSize === undefined ? MAX_HOSTS : undefined,
      );
      return { hosts: items, nextPageToken: nextPageToken || undefined };
    }),
    setHostScheduling: unary(async (req, ctx) => {
      const caller = authorize(ctx, "admin");
      const scheduling = schedulingFromProto(req.scheduling);
      if (scheduling !== "open" && scheduling !== "cordoned") {
        const description = "must be open or cordoned; to empty a host, use DrainHost";
        throw invalid([{ field: "scheduling", description }]);
      }
      const { host, previous } = await setScheduling(parts, req.host, scheduling, caller);
      return { hostNumber: host.number, previous: schedulingToProto(previous) };
    }),
    drainHost: serverStream(async function* (req, ctx) {
      const caller = authorize(ctx, "admin");
      for await (const progress of measureDrain(drain(parts, req.host, caller))) yield drainToProto(progress);
    }),
  };
}
