import { ReservationsServiceClient } from "../../../gen/windhover/admin/v1/hosts.ts";
import type { Reservation } from "../../../gen/windhover/scheduler/v1/scheduler.ts";
import { toJson } from "../../render/json.ts";
import { type Column, table } from "../../render/table.ts";
import { ago, count, megabytes } from "../../render/time.ts";
import type { Session } from "../../session/session.ts";
import type { HoverCommand } from "../command.ts";
import { whole } from "../values.ts";

const DEFAULT_LIMIT = 100;
const COLUMNS: readonly Column[] = [
  { title: "RESERVATION", min: 12 },
  { title: "APP", min: 6 },
  { title: "HOLDS" },
  { title: "ON HOSTS", min: 8 },
  { title: "CLAIMED", min: 8 },
  { title: "EXPIRES", min: 6 },
];

export function defineReservation(reservation: HoverCommand): void {
  reservation
    .leaf("list", "Lists live reservations: what they hold, where, until when")
    .alias("ls")
    .option("-r, --region <region>", "region (default: that of the API)")
    .option("-n, --limit <n>", "at most so many, 1 to 1000 (default: 100)", whole(1, 1_000))
    .examples("hover reservation list -r ord")
    .runs(listReservations);
}

async function listReservations(
  session: Session,
  _args: [],
  { region = "", limit = 0 }: { region?: string; limit?: number },
): Promise<void> {
  const client = await session.client(ReservationsServiceClient);
  const wanted = limit || DEFAULT_LIMIT;
  const reservations: Reservation[] = [];
  let [total, pageToken] = [0, ""];
  do {
    const request = { region, pageSize: wanted - reservations.length, pageToken };
    const page = await session.call(client, client.listReservations, request);
    reservations.push(...page.reservations);
    ({ total, nextPageToken: pageToken } = page);
  } while (pageToken !== "" && reservations.length < wanted);
  if (session.json) return session.printJson({ reservations: reservations.map(reservationJson), total });
  if (reservations.length === 0)
    return session.say("No live reservation: each ends a moment after its create was awarded, or expires.");
  const now = Date.now();
  const rows = reservations.map((one) => row(one, now));
  session.printLines(table(COLUMNS, rows, session.terminal.width));
  if (total > reservations.length) session.say(`${total - reservations.length} more; see --limit`);
}

function row({ id, app, resources, offers, claimedHost, expireTime }: Reservation, nowMs: number): string[] {
  return [
    id,
    app,
    `${count(resources?.cpus ?? 0, "CPU")}, ${megabytes(Number(resources?.memoryMb ?? 0n))}`,
    offers.map((offer) => offer.hostName).join(", "),
    claimedHost === undefined ? "-" : `for host ${claimedHost}`,
    ago(expireTime, nowMs),
  ];
}

function reservationJson({ offers, ...reservation }: Reservation) {
  const shown = offers.map(({ hostNumber, hostName, imageLocal }) => ({ hostNumber, hostName, imageLocal }));
  return toJson({ ...reservation, offers: shown });
}
