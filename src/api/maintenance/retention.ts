import type { Queries } from "../../lib/stores/postgres.ts";

/**
 * Removes what nobody needs any more: creates a day after they ended (request ids are remembered that long), destroyed machines after a
 * week, and of each machine all events but the newest. In small bites; what is left is for the next round.
 */
export async function housekeep(db: Queries): Promise<void> {
  await db.query({
    name: "housekeep_sagas",
    text: `delete from sagas where id in (
             select id from sagas where status in ('done', 'failed') and resolve_time is null
                           and update_time < now() - interval '24 hours' limit 1000)`,
  });
  await db.query({
    name: "housekeep_machines",
    text: `delete from machines where create_id in (
             select create_id from machines where state = 'destroyed' and update_time < now() - interval '7 days' limit 1000)`,
  });
  await db.query({
    name: "housekeep_events",
    text: `delete from machine_events e using (
             select machine_id, (array_agg(id order by id desc))[100] as oldest
               from machine_events group by machine_id having count(*) > 100 limit 1000) k
            where e.machine_id = k.machine_id and e.id < k.oldest`,
  });
}
