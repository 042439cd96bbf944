import { z } from "zod";

/** Descriptions of answers, for the OpenAPI document alone: members that have no value are left out, never null. */

const texts = z.record(z.string(), z.string());
const anything = z.looseObject({});

const eventAnswer = z.object({
  id: z.string().describe("A ULID: sorts by time."),
  type: z
    .string()
    .describe("`launch`, `start`, `exit`, `stop`, `update`, `restart`, `cordon`, `uncordon`, `destroy`."),
  status: z.string(),
  source: z.enum(["user", "flyd"]),
  timestamp: z.int().describe("Milliseconds since the epoch."),
  request: z.looseObject({ exit_event: anything.optional(), restart_count: z.int().optional() }).optional(),
});

const machineAnswer = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  region: z.string(),
  instance_id: z.string().describe("Version of the configuration, a ULID."),
  version: z.string(),
  private_ip: z.string(),
  config: anything.optional(),
  incomplete_config: anything.optional().describe("Instead of `config` while the host cannot be reached."),
  image_ref: z.object({
    ...{ registry: z.string(), repository: z.string(), tag: z.string(), digest: z.string() },
    labels: texts,
  }),
  host_status: z.enum(["ok", "unreachable"]).optional(),
  cordoned: z.boolean().optional(),
  nonce: z.string().optional(),
  created_at: z.string(),
  updated_at: z.string(),
  events: z.array(eventAnswer).optional(),
  checks: z.array(anything).optional(),
});

const appAnswer = z.object({
  ...{ id: z.string(), name: z.string(), status: z.string(), network: z.string() },
  ...{ machine_count: z.int(), volume_count: z.int() },
  organization: z.object({ name: z.string(), slug: z.string() }),
  created_at: z.int().optional().describe("Milliseconds since the epoch."),
});

const leaseMembers = {
  ...{ nonce: z.string().optional(), owner: z.string(), description: z.string(), version: z.string() },
  expires_at: z.int().describe("Seconds since the epoch."),
};

const leaseAnswer = z.object({
  status: z.literal("success"),
  data: z.looseObject(leaseMembers),
  ...leaseMembers,
});

/** Answers by name. */
export const answers = {
  app: appAnswer,
  apps: z.object({ apps: z.array(appAnswer), total_apps: z.int() }),
  machine: machineAnswer,
  machines: z.array(machineAnswer),
  orgMachines: z.object({
    machines: z.array(anything),
    next_cursor: z.string().optional(),
    last_machine_id: z.string().optional(),
    last_updated_at: z.string().optional(),
    error_regions: z.array(z.string()),
  }),
  events: z.array(eventAnswer),
  versions: z.array(z.object({ version: z.string(), user_config: anything })),
  started: z.looseObject({ previous_state: z.string(), migrated: z.boolean(), new_host: z.string() }),
  waited: z.looseObject({
    ok: z.literal(true),
    event_id: z.string().optional(),
    state: z.string(),
    version: z.string(),
  }),
  ok: z.object({ ok: z.literal(true) }),
  lease: leaseAnswer,
  released: z.object({ status: z.literal("success"), data: z.object({ ok: z.literal(true) }) }),
  metadata: texts,
  entry: z.object({ value: z.string() }),
  command: z.object({ exit_code: z.int(), exit_signal: z.int(), stdout: z.string(), stderr: z.string() }),
  processes: z.array(
    z.object({
      ...{ pid: z.int(), stime: z.int(), rtime: z.int(), cpu: z.int(), rss: z.int() },
      ...{ command: z.string(), directory: z.string() },
      listen_sockets: z.array(z.object({ proto: z.string(), address: z.string() })),
    }),
  ),
  regions: z.object({ regions: z.array(anything), nearest: z.string() }),
  placements: z.object({
    regions: z.array(z.object({ region: z.string(), count: z.int(), concurrency: z.int() })),
  }),
  tokens: z.object({ tokens: z.array(anything) }),
  acquired: z.looseObject({ step: z.int(), repeated: z.boolean(), attempts: z.array(anything) }),
  error: z.looseObject({
    error: z.string().describe("For a person, and what published clients match."),
    status: z.string().describe("The error's class, e.g. `not_found` or `insufficient_capacity`."),
    reason: z.string().describe("Which error it is: stable, e.g. `MACHINE_NOT_FOUND`."),
    request_id: z.string().optional(),
  }),
} as const;

/** Names an answer. */
export type AnswerName = keyof typeof answers;
