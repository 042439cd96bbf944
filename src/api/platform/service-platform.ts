import type {
  EstimatePlacementsRequest,
  PlatformServiceServer,
  Region,
} from "../../gen/windhover/machines/v1/platform.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { validGuest } from "../machines/config/validate-config.ts";
import { PLACES } from "../regions/region-places.ts";
import { type KnownRegions, nearestFirst, resolveRegions } from "../regions/regions.ts";
import type { Schedulers } from "../regions/schedulers.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { freeFromProto } from "./convert-room.ts";
import { estimateRoom } from "./estimate.ts";

const MAX_COUNT = 10_000;
const DEFAULT_COUNT = 1_000;

export function platformService(
  schedulers: Schedulers,
  regions: KnownRegions,
  clock: Pick<Clock, "now">,
): PlatformServiceServer {
  return {
    listRegions: unary((_req, ctx) => {
      authorize(ctx, "machines:read");
      return { regions: [...new Set(regions.known)].sort().map(regionToProto), nearest: regions.own };
    }),
    estimatePlacements: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:read");
      const { guest, count } = sizeFromProto(req);
      const asked = req.region === "" ? nearestFirst(regions) : resolveRegions(req.region, regions);
      const freeIn = async (region: string) => {
        const hosts = await schedulers.of(region).listHosts(caller);
        return hosts.flatMap((host) => freeFromProto(host, clock.now()) ?? []);
      };
      return { regions: [...(await estimateRoom(freeIn, asked, guest, count))] };
    }),
    getCaller: unary((_req, ctx) => {
      const claims = requireScope(ctx, "machines:read", "machines:write", "admin");
      return {
        tokenId: claims.id,
        subject: claims.subject,
        org: claims.org,
        scopes: [...claims.scopes],
        expireTime: timeToProto(claims.expiresMs),
        checks: claims.checks.map(({ source }) => source),
      };
    }),
  };
}

function regionToProto(code: string): Region {
  const place = PLACES.get(code);
  return {
    code,
    name: place?.name ?? code,
    latitude: place?.latitude ?? 0,
    longitude: place?.longitude ?? 0,
    group: place?.groups[0] ?? "",
  };
}

function sizeFromProto(req: EstimatePlacementsRequest) {
  const violations = new Violations();
  const check = violations.check.bind(violations);
  const guest = validGuest(req.guest, check);
  const count = req.count === 0 ? DEFAULT_COUNT : req.count;
  violations.check(count >= 1 && count <= MAX_COUNT, "count", `must be 1 to ${MAX_COUNT}`);
  violations.throwIfAny();
  return { guest, count };
}
