import { SchedulerServiceService } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { type RpcRule, type RpcRules, rulesOf } from "../lib/auth/rpc-rules.ts";

const reservation = { kind: "reservation", object: "reservationId" } as const;

function reads(action: string): RpcRule {
  return { action, scopes: ["internal"], isAudited: false, needsGoodStanding: false };
}

function changes(action: string): RpcRule {
  return { ...reads(action), isAudited: true, ...reservation };
}

/** What each RPC of a scheduler needs, does and is about. A method that is not here is refused. */
export const RULES: RpcRules = rulesOf(SchedulerServiceService, {
  reserve: changes("reservations:reserve"),
  claim: changes("reservations:claim"),
  release: changes("reservations:release"),
  listReservations: reads("reservations:list"),
  listHosts: reads("hosts:list"),
  attach: reads("hosts:attach"),
});
