import type { Queries } from "../../lib/stores/postgres.ts";

/**
 * Deletes ended creates after a day, destroyed machines after a week, and all but the newest 100
 * events of a machine. At most 1,000 of each; the next round goes on.
 */
export async function applyRetention(db: Queries): Promise<void> {
  await db.query({
    name: "retention_sagas",
    text: `delete from sagas where id in (
             select id from sagas where status in ('done', 'failed') and resolve_time is null
                           and update_time < now() - interval '24 hours' limit 1000)`,
  });
  await db.query({
    name: "retention_machines",
    text: `delete from machines where create_id in (
             select create_id from machines where state = 'destroyed' and update_time < now() - interval '7 days' limit 1000)`,
  });
  await db.query({
    name: "retention_events",
    text: `delete from machine_events e using (
             select machine_id, (array_agg(id order by id desc))[100] as oldest
               from machine_events group by machine_id having count(*) > 100 limit 1000) k
            where e.machine_id = k.machine_id and e.id < k.oldest`,
  });
}
