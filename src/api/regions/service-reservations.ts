import type { ReservationsServiceServer } from "../../gen/windhover/admin/v1/hosts.ts";
import { unary } from "../../lib/grpc/rpc.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { Violations } from "../../lib/runtime/violations.ts";
import { callerOf } from "../requests/request.ts";
import type { Schedulers } from "./schedulers.ts";

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

/** Puts reservations on the wire, for operators. @param ownRegion the region that is meant when none is named */
export function reservationsService(
  schedulers: Pick<Schedulers, "regions" | "listReservations">,
  ownRegion: string,
): ReservationsServiceServer {
  return {
    listReservations: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "admin");
      const violations = new Violations();
      if (!(req.pageSize >= 0 && req.pageSize <= MAX_PAGE))
        violations.add("page_size", `must be from 1 to ${MAX_PAGE}`);
      violations.throwIfAny();
      const region = req.region || ownRegion;
      const known = schedulers.regions();
      if (!known.includes(region)) {
        const facts = { region, known: known.join(",") };
        throw new Fault(
          "INVALID_ARGUMENT",
          "REGION_UNKNOWN",
          `there is no region ${region} here; there are ${known.join(", ")}`,
          facts,
          { violations: [{ field: "region", description: `must be one of ${known.join(", ")}` }] },
        );
      }
      return schedulers.listReservations(region, req.pageSize || DEFAULT_PAGE, caller);
    }),
  };
}
