import { Fault } from "../../../lib/faults/fault.ts";
import type { Queries, Transaction } from "../../../lib/stores/postgres.ts";
import { appNotFound } from "../../apps/app.ts";
import type { Transactions } from "../../database/gated-database.ts";
import { toJson } from "../../database/json.ts";
import { type Amount, type Organization, refusal } from "../../orgs/organization.ts";
import { QUOTA, usedBy } from "../../orgs/usage.ts";
import { type CreateRequest, NEW_CREATE } from "./create-state.ts";
import { SAGA_COLUMNS, type StoredSaga } from "./stored-saga.ts";

export interface Intent {
  readonly id: string;
  readonly request: CreateRequest;
  readonly requestId?: string;
  readonly requestHash: Buffer;
  readonly traceparent: string;
  /** The first owner of the saga, and its lease. */
  readonly owner: string;
  readonly leaseMs: number;
  readonly makeName: () => string;
}

/** The saga of a new create, or of an earlier one with the same request id. */
export interface BeginResult {
  readonly isNew: boolean;
  readonly saga: StoredSaga;
}

const NAME_ATTEMPTS = 5;

/** Preflight and intent of creates, in one short transaction. */
export class IntentStore {
  readonly #db: Transactions;

  constructor(db: Transactions) {
    this.#db = db;
  }

  /**
   * Begins a create if it is allowed. The row of the organisation serialises its creates.
   *
   * @throws Fault `APP_NOT_FOUND`, `ORG_PAST_DUE`, `ORG_BANNED`, `QUOTA_MACHINES`, `QUOTA_MEMORY`,
   *   `QUOTA_IMAGES`, `MACHINE_NAME_TAKEN`, `REQUEST_ID_REUSED`
   */
  async begin(intent: Intent): Promise<BeginResult> {
    const { request } = intent;
    const attempts = request.name === "" ? NAME_ATTEMPTS : 1;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const name = request.name || intent.makeName();
      const result = await this.#db.transaction((tx) => begin(tx, intent, name));
      if (result) return result;
    }
    throw await nameTaken(this.#db, request);
  }

  /** Returns the id of the machine that has a name; null while it has none yet, undefined when there is no machine. */
  async nameOwner(app: string, name: string): Promise<string | null | undefined> {
    return nameOwner(this.#db, app, name);
  }
}

/** Takes two round trips. Returns undefined when the name is taken. */
async function begin(tx: Transaction, intent: Intent, name: string): Promise<BeginResult | undefined> {
  const { request } = intent;
  const [org, earlier, used, hasApp] = await Promise.all([
    lockOrganization(tx, request),
    findEarlier(tx, intent),
    countUsed(tx, request.org),
    lockApp(tx, request),
  ]);
  if (earlier) return { isNew: false, saga: earlier };
  const refused = refusal({ ...org, used }, request.config.guest.memoryMb);
  if (refused) throw refused;
  if (!hasApp) throw appNotFound(request.app);
  const saga = await insert(tx, intent, { ...request, name });
  return saga && { isNew: true, saga };
}

async function lockOrganization(tx: Queries, request: CreateRequest) {
  const { rows } = await tx.query<Pick<Organization, "slug" | "standing" | "quota">>({
    name: "create_lock_org",
    text: `select slug, standing, ${QUOTA} as quota from organizations where slug = $1 for update`,
    values: [request.org],
  });
  // A token may outlive its organisation, which has no apps then.
  if (!rows[0]) throw appNotFound(request.app);
  return rows[0];
}

async function findEarlier(tx: Queries, intent: Intent): Promise<StoredSaga | undefined> {
  if (intent.requestId === undefined) return undefined;
  const { rows } = await tx.query<StoredSaga & { isSame: boolean }>({
    name: "create_find_earlier",
    text: `select ${SAGA_COLUMNS}, request_hash = $3 as "isSame"
             from sagas where org = $1 and request_id = $2 and status <> 'failed'`,
    values: [intent.request.org, intent.requestId, intent.requestHash],
  });
  const [earlier] = rows;
  if (!earlier || earlier.isSame) return earlier;
  const message = `request_id ${intent.requestId} stands for another request; use a new one for each machine`;
  throw new Fault("INVALID_ARGUMENT", "REQUEST_ID_REUSED", message, { request_id: intent.requestId });
}

async function countUsed(tx: Queries, org: string): Promise<Amount> {
  const { rows } = await tx.query<Amount>({
    name: "create_count_used",
    text: usedBy("$1"),
    values: [org],
  });
  return rows[0] ?? { machines: 0, memoryMb: 0, imageMb: 0 };
}

/** Keeps the app from being deleted until the intent is visible. */
async function lockApp(tx: Queries, request: CreateRequest): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: "create_lock_app",
    text: "select 1 from apps where name = $1 and org = $2 for key share",
    values: [request.app, request.org],
  });
  return rowCount > 0;
}

async function insert(
  tx: Transaction,
  intent: Intent,
  request: CreateRequest,
): Promise<StoredSaga | undefined> {
  const { rows } = await tx.commit<StoredSaga>({
    name: "create_insert",
    text: `with machine as (
             insert into machines (create_id, org, app, name, region, memory_mb, state)
             values ($1, $2, $3, $4, $5, $6, 'creating')
                 on conflict (app, name) where state <> 'destroyed' do nothing
             returning create_id, org)
           insert into sagas (id, org, request_id, request_hash, status, request, state, traceparent, owner, lease_time)
           select m.create_id, m.org, $7, $8, 'running', $9, $10, $11, $12, now() + $13 * interval '1 millisecond' from machine m
           returning ${SAGA_COLUMNS}`,
    values: [
      intent.id,
      request.org,
      request.app,
      request.name,
      request.regions[0],
      request.config.guest.memoryMb,
      intent.requestId ?? null,
      intent.requestHash,
      toJson(request),
      toJson(NEW_CREATE),
      intent.traceparent,
      intent.owner,
      intent.leaseMs,
    ],
  });
  return rows[0];
}

async function nameOwner(db: Queries, app: string, name: string): Promise<string | null | undefined> {
  const { rows } = await db.query<{ id: string | null }>({
    name: "create_name_owner",
    text: "select id from machines where app = $1 and name = $2 and state <> 'destroyed'",
    values: [app, name],
  });
  return rows[0]?.id;
}

async function nameTaken(db: Queries, { app, name }: CreateRequest): Promise<Fault> {
  return nameTakenBy((await nameOwner(db, app, name)) ?? "", app, name);
}

/** Makes the fault of a create whose name another machine has. @param id empty: not known yet */
export function nameTakenBy(id: string, app: string, name: string): Fault {
  const message = `app ${app} has a machine ${name} already${id === "" ? "" : `: ${id}`}; choose another name or destroy that one`;
  return new Fault("ALREADY_EXISTS", "MACHINE_NAME_TAKEN", message, { app, name, machine_id: id });
}
