import type { Queries } from "../../lib/stores/postgres.ts";

/** Rows of an organisation that are kept, however new the others are. */
const KEPT = { failedCreates: 1_000, doneCreates: 100_000, destroyedMachines: 5_000, changes: 1_000_000 };
/** Rows that a statement deletes, and statements of a kind in a round; the next round goes on. */
const [BATCH, MAX_BATCHES] = [1_000, 100];
const CHANGES_BATCH = 10_000;
/**
 * Machines, and organisations, of which a statement reads the rows. A statement that read all rows
 * would reach its timeout as a fleet grows, and then delete none.
 */
const [MACHINES_PER_PAGE, ORGS_PER_PAGE] = [500, 20];

/**
 * Deletes ended creates after a day, destroyed machines after a week, records of expired tokens a
 * week later, and all but the newest 100 events of a machine.
 */
export async function applyRetention(db: Queries, machinesPerPage = MACHINES_PER_PAGE): Promise<void> {
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
  await deleteByPages(db, machinesPerPage, {
    name: "retention_events",
    text: `with page as (select id as key from machines where id > $1 order by id limit $2),
             old as (select p.key, e.id from page p cross join lateral (
                       select id from machine_events where machine_id = p.key order by id desc offset 100 limit $3) e
                     limit $3),
             gone as (delete from machine_events e using old o where e.machine_id = o.key and e.id = o.id returning 1)
             ${PAGE_RESULT}`,
  });
}

/**
 * Bounds the rows of each organisation: creates without a request id, which nobody can ask for, go
 * after 10 minutes; of failed creates, done creates and destroyed machines the newest stay.
 */
export async function boundRows(db: Queries, orgsPerPage = ORGS_PER_PAGE): Promise<void> {
  await deleteByPages(db, orgsPerPage, {
    name: "bound_unrepeatable",
    text: `with ${ORGS},
             old as (select s.id from page p join sagas s on s.org = p.key and s.request_id is null
                      where s.status in ('done', 'failed') and s.resolve_time is null
                        and s.update_time < now() - interval '10 minutes' limit $3),
             gone as (delete from sagas s using old o where s.id = o.id returning 1)
             ${PAGE_RESULT}`,
  });
  await deleteByPages(db, orgsPerPage, {
    name: "bound_sagas",
    text: `with ${ORGS},
             old as (select r.id from page p cross join lateral (
                       select id, status, row_number() over (partition by status order by update_time desc) as nth
                         from sagas where org = p.key and status in ('done', 'failed') and resolve_time is null) r
                      where r.nth > case r.status when 'failed' then ${KEPT.failedCreates} else ${KEPT.doneCreates} end
                      limit $3),
             gone as (delete from sagas s using old o where s.id = o.id returning 1)
             ${PAGE_RESULT}`,
  });
  await deleteByPages(db, orgsPerPage, {
    name: "bound_machines",
    text: `with ${ORGS},
             old as (select d.create_id from page p cross join lateral (
                       select create_id from machines where org = p.key and state = 'destroyed'
                        order by update_time desc, create_id desc offset ${KEPT.destroyedMachines} limit $3) d
                     limit $3),
             gone as (delete from machines m using old o where m.create_id = o.create_id returning 1)
             ${PAGE_RESULT}`,
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

/** A page of organisations after `$1`. */
const ORGS = "page as (select slug as key from organizations where slug > $1 order by slug limit $2)";
const PAGE_RESULT = "select (select max(key) from page) as last, (select count(*) from gone)::int as count";

/**
 * Deletes rows page by page.
 *
 * @param statement takes the last key of the page before, the size of a page, and the most rows to delete
 */
async function deleteByPages(
  db: Queries,
  pageSize: number,
  statement: { readonly name: string; readonly text: string },
): Promise<void> {
  for (let last: string | null | undefined = ""; typeof last === "string"; ) {
    const values: readonly unknown[] = [last, pageSize, BATCH];
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      const { rows } = await db.query<{ last: string | null; count: number }>({ ...statement, values });
      last = rows[0]?.last;
      if ((rows[0]?.count ?? 0) < BATCH) break;
    }
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
