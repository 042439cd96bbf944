import type { Queries } from "../../lib/stores/postgres.ts";

/** Rows of an organisation that are kept, however new the others are. */
const KEPT = { failedCreates: 1_000, doneCreates: 100_000, destroyedMachines: 5_000, changes: 1_000_000 };
/** Rows that a statement deletes, and statements of a kind in a round; the next round goes on. */
const [BATCH, MAX_BATCHES] = [1_000, 100];
const CHANGES_BATCH = 10_000;

/**
 * Deletes ended creates after a day, destroyed machines after a week, records of expired tokens a
 * week later, and all but the newest 100 events of a machine.
 */
export async function applyRetention(db: Queries): Promise<void> {
  await deleteInBatches(db, {
    name: "retention_sagas",
    text: `delete from sagas where id in (
             select id from sagas where status in ('done', 'failed') and resolve_time is null
                           and update_time < now() - interval '24 hours' limit $1)`,
  });
  await deleteInBatches(db, {
    name: "retention_machines",
    text: `delete from machines where create_id in (
             select create_id from machines where state = 'destroyed' and update_time < now() - interval '7 days' limit $1)`,
  });
  await deleteInBatches(db, {
    name: "retention_tokens",
    text: `delete from tokens where id in (
             select id from tokens where expire_time < now() - interval '7 days' limit $1)`,
  });
  await deleteInBatches(db, {
    name: "retention_revocations",
    text: `delete from token_revocations where id in (
             select id from token_revocations where expire_time < now() limit $1)`,
  });
  await deleteInBatches(db, {
    name: "retention_events",
    text: `delete from machine_events e using (
             select machine_id, (array_agg(id order by id desc))[100] as oldest
               from machine_events group by machine_id having count(*) > 100 limit $1) k
            where e.machine_id = k.machine_id and e.id < k.oldest`,
  });
}

/**
 * Bounds the rows of each organisation: creates without a request id, which nobody can ask for, go
 * after 10 minutes; of failed creates, done creates and destroyed machines the newest stay.
 */
export async function boundRows(db: Queries): Promise<void> {
  await deleteInBatches(db, {
    name: "bound_unrepeatable",
    text: `delete from sagas where id in (
             select id from sagas where status in ('done', 'failed') and resolve_time is null and request_id is null
                           and update_time < now() - interval '10 minutes' limit $1)`,
  });
  await deleteInBatches(db, {
    name: "bound_sagas",
    text: `delete from sagas where id in (
             select id from (
               select id, status, row_number() over (partition by org, status order by update_time desc) as nth
                 from sagas where status in ('done', 'failed') and resolve_time is null) ranked
              where nth > case status when 'failed' then ${KEPT.failedCreates} else ${KEPT.doneCreates} end limit $1)`,
  });
  await deleteInBatches(db, {
    name: "bound_machines",
    text: `delete from machines where create_id in (
             select create_id from (
               select create_id, row_number() over (partition by org order by update_time desc) as nth
                 from machines where state = 'destroyed') ranked
              where nth > ${KEPT.destroyedMachines} limit $1)`,
  });
}

/** Deletes changes of machines and routes that are older than an hour, and all but the newest million. */
export async function trimChanges(db: Queries): Promise<void> {
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const { rows } = await db.query<{ count: number }>({
      name: "retention_changes",
      text: `with first as (
               select * from (
                 (select xid, position, create_time from machine_changes order by xid, position limit $1)
                 union all
                 (select xid, position, create_time from route_changes order by xid, position limit $1)) c
                order by xid, position limit $1),
             gone as (
               select xid, position from first
                where create_time < now() - interval '1 hour'
                   or position <= (select last_value from machine_changes_position_seq) - ${KEPT.changes}),
             machine_changes_gone as (
               delete from machine_changes c using gone g where c.xid = g.xid and c.position = g.position),
             route_changes_gone as (
               delete from route_changes c using gone g where c.xid = g.xid and c.position = g.position),
             last as (select xid, position from gone order by xid desc, position desc limit 1),
             horizon as (
               update machine_changes_horizon h set xid = l.xid, position = l.position from last l)
             select count(*)::int as count from gone`,
      values: [CHANGES_BATCH],
    });
    if ((rows[0]?.count ?? 0) < CHANGES_BATCH) return;
  }
}

async function deleteInBatches(
  db: Queries,
  statement: { readonly name: string; readonly text: string },
): Promise<void> {
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const { rowCount } = await db.query({ ...statement, values: [BATCH] });
    if (rowCount < BATCH) return;
  }
}
