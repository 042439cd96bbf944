import type { Queries, Transaction } from "../../lib/stores/postgres.ts";
import type { Transactions } from "../database/gated-database.ts";
import { applyChanges } from "../machines/apply-changes.ts";
import { machineNotFound } from "../machines/faults.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import type { Machine } from "../machines/machine.ts";
import { type Amount, type Organization, updateRefusal } from "../orgs/organization.ts";
import { QUOTA, usedBy } from "../orgs/usage.ts";

/** Minutes after which a reservation expires: longer than the longest update takes. */
const RESERVED_MIN = 35;

/** What an update takes of its organisation's quota. */
export interface Reservation {
  readonly machineId: MachineId;
  readonly org: string;
  /** The update. */
  readonly owner: string;
  /** Of the machine, after the update. */
  readonly memoryMb: number;
  readonly imageDigest: string;
}

/** What a machine counts in the quota of its organisation. */
interface CountedMachine {
  readonly memoryMb: number;
  /** Live reservation of an earlier update, or what the machine has. */
  readonly reservedMb: number;
  /** Whether the host has the image of the update for a machine of the organisation. */
  readonly hasImage: boolean;
}

/** Reserves quota for updates. An update that gets no answer keeps its memory reserved for 35 min. */
export class UpdateStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /**
   * Reserves the memory that an update adds to a machine. A lock on the row of the organisation
   * serialises its updates and creates.
   *
   * @throws Fault `MACHINE_NOT_FOUND`, `ORG_PAST_DUE`, `ORG_BANNED`, `QUOTA_MEMORY`, `QUOTA_IMAGES`
   */
  reserve(reservation: Reservation): Promise<void> {
    return this.#db.transaction((tx) => reserve(tx, reservation));
  }

  /** Stores the machine that an update has left, and removes the reservation of the update. */
  finish({ machineId, owner }: Pick<Reservation, "machineId" | "owner">, machine: Machine): Promise<void> {
    return this.#db.transaction(async (tx) => {
      // The events come with the report of the host.
      await applyChanges(tx, { machines: [{ kind: "whole", machine }], changes: [] });
      await tx.query({
        name: "update_end",
        text: "delete from memory_reservations where machine_id = $1 and owner = $2",
        values: [machineId, owner],
      });
    });
  }
}

async function reserve(tx: Transaction, reservation: Reservation): Promise<void> {
  const { machineId, org, owner, memoryMb } = reservation;
  const [organization, used, machine] = await Promise.all([
    lockOrganization(tx, org),
    countUsed(tx, org),
    findMachine(tx, reservation),
  ]);
  if (!organization || !machine) throw machineNotFound(machineId);
  const others = { ...used, memoryMb: used.memoryMb - (machine.reservedMb - machine.memoryMb) };
  const refused = updateRefusal(
    { ...organization, used: others },
    {
      memoryMb: memoryMb - machine.memoryMb,
      addsImage: !machine.hasImage,
    },
  );
  if (refused) throw refused;
  await tx.commit({
    name: "update_reserve",
    text: `with expired as (delete from memory_reservations where org = $2 and expire_time < now() and machine_id <> $1)
           insert into memory_reservations as r (machine_id, org, owner, memory_mb, expire_time)
           values ($1, $2, $3, $4, now() + interval '${RESERVED_MIN} minutes')
               on conflict (machine_id) do update
              set owner = excluded.owner, expire_time = excluded.expire_time,
                  memory_mb = case when r.expire_time > now() then greatest(r.memory_mb, excluded.memory_mb)
                                   else excluded.memory_mb end`,
    values: [machineId, org, owner, memoryMb],
  });
}

async function lockOrganization(tx: Queries, org: string) {
  const { rows } = await tx.query<Pick<Organization, "slug" | "standing" | "quota">>({
    name: "update_lock_org",
    text: `select slug, standing, ${QUOTA} as quota from organizations where slug = $1 for update`,
    values: [org],
  });
  return rows[0];
}

async function countUsed(tx: Queries, org: string): Promise<Amount> {
  const { rows } = await tx.query<Amount>({ name: "update_count_used", text: usedBy("$1"), values: [org] });
  return rows[0] ?? { machines: 0, memoryMb: 0, imageMb: 0 };
}

async function findMachine(
  tx: Queries,
  { machineId, org, imageDigest }: Reservation,
): Promise<CountedMachine | undefined> {
  const { rows } = await tx.query<CountedMachine>({
    name: "update_find_machine",
    text: `select m.memory_mb as "memoryMb", greatest(m.memory_mb, coalesce(r.memory_mb, 0)) as "reservedMb",
                  exists (select 1 from machines o where o.org = m.org and o.host_number = m.host_number
                                                     and o.image_digest = $3 and o.state <> 'destroyed') as "hasImage"
             from machines m
             left join memory_reservations r on r.machine_id = m.id and r.expire_time > now()
            where m.id = $1 and m.org = $2 and m.state <> 'destroyed'`,
    values: [machineId, org, imageDigest],
  });
  return rows[0];
}
