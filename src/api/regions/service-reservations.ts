import type { ReservationsServiceServer } from "../../gen/windhover/admin/v1/hosts.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { regionUnknown } from "./regions.ts";
import type { Schedulers } from "./schedulers.ts";

const MAX_PAGE = 1_000;
const DEFAULT_PAGE = 100;

/** @param ownRegion the region of requests that name none */
export function reservationsService(schedulers: Schedulers, ownRegion: string): ReservationsServiceServer {
  return {
    listReservations: unary(async (req, ctx) => {
      const caller = authorize(ctx, "admin");
      const violations = new Violations();
      const isPageSize = req.pageSize >= 0 && req.pageSize <= MAX_PAGE;
      violations.check(isPageSize, "page_size", `must be from 1 to ${MAX_PAGE}`);
      violations.throwIfAny();
      const region = req.region || ownRegion;
      const known = schedulers.regions();
      if (!known.includes(region)) throw regionUnknown(region, known, "has no scheduler here");
      const page = { pageSize: req.pageSize || DEFAULT_PAGE, pageToken: req.pageToken };
      return schedulers.of(region).listReservations(page, caller);
    }),
  };
}
