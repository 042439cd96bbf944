import { ReservationsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import type { Reservation } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { type Column, table } from "../render/table.ts";
import { ago, megabytes } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { textJson, timeJson } from "../show/json.ts";

/** `hover reservation list`. */
export const listReservations: Handler<[], { region?: string; limit?: number }> = async (
  session,
  _args,
  flags,
) => {
  const client = await session.client(ReservationsServiceClient);
  const request = { region: flags.region ?? "", pageSize: flags.limit ?? 0 };
  const { reservations, total } = await session.call(client, client.listReservations, request);
  if (session.json) {
    session.printJson({ reservations: reservations.map(reservationJson), total });
    return undefined;
  }
  if (reservations.length === 0) {
    session.say("No reservation lives now: each is over a moment after its create was awarded, or expires.");
    return undefined;
  }
  const now = Date.now();
  const rows = reservations.map((one) => row(one, now));
  session.printLines(table(COLUMNS, rows, session.terminal.width));
  if (total > reservations.length) session.say(`${total - reservations.length} more; see --limit`);
  return undefined;
};

const COLUMNS: readonly Column[] = [
  { title: "RESERVATION", min: 12 },
  { title: "APP", min: 6 },
  { title: "HOLDS" },
  { title: "ON HOSTS", min: 8 },
  { title: "CLAIMED", min: 8 },
  { title: "EXPIRES", min: 6 },
];

function row({ id, app, resources, offers, claimedHost, expireTime }: Reservation, nowMs: number): string[] {
  const memory = megabytes(Number(resources?.memoryMb ?? 0n));
  return [
    id,
    app,
    `${resources?.cpus ?? 0} CPU${resources?.cpus === 1 ? "" : "s"}, ${memory}`,
    offers.map((offer) => offer.hostName).join(", "),
    claimedHost === undefined ? "-" : `for host ${claimedHost}`,
    ago(expireTime, nowMs),
  ];
}

function reservationJson(one: Reservation) {
  const { resources } = one;
  return {
    id: one.id,
    app: one.app,
    resources: resources
      ? { cpus: resources.cpus, memory_mb: Number(resources.memoryMb), disk_mb: Number(resources.diskMb) }
      : null,
    offers: one.offers.map(({ hostNumber, hostName, imageLocal }) => ({
      host_number: hostNumber,
      host_name: hostName,
      image_local: imageLocal,
    })),
    claimant: textJson(one.claimant),
    claimed_host: one.claimedHost ?? null,
    expire_time: timeJson(one.expireTime),
  };
}
