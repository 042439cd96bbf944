import { z } from "zod";
import { configSchema } from "../convert/config/config-schema.ts";

/** Descriptions of answers, for the OpenAPI document alone: members that have no value are left out, never null. */

const texts = z.record(z.string(), z.string());
const anything = z.looseObject({});
/** As a request has it: a configuration that was read can be sent back. */
const config = configSchema.optional();

const eventAnswer = z.object({
  id: z.string().describe("A ULID: sorts by time."),
  type: z
    .string()
    .describe(
      "`launch`, `start`, `ready`, `check`, `exit`, `stop`, `suspend`, `update`, `restart`, `cordon`, `uncordon`, `destroy`.",
    ),
  status: z.string(),
  source: z.enum(["user", "flyd"]),
  timestamp: z.int().describe("Milliseconds since the epoch."),
  request: z.looseObject({ exit_event: anything.optional(), restart_count: z.int().optional() }).optional(),
});

const checkAnswer = z.object({
  name: z.string(),
  status: z.enum(["passing", "warning", "critical"]),
  output: z.string().describe("What was seen last."),
  updated_at: z.string(),
});

const leaseMembers = {
  ...{ nonce: z.string().optional(), owner: z.string(), description: z.string(), version: z.string() },
  expires_at: z.int().describe("Seconds since the epoch."),
};

const machineAnswer = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  region: z.string(),
  instance_id: z.string().describe("Version of the configuration, a ULID."),
  version: z.string(),
  private_ip: z.string(),
  config,
  incomplete_config: config.describe("Instead of `config` while the host cannot be reached."),
  image_ref: z.object({
    ...{ registry: z.string(), repository: z.string(), tag: z.string(), digest: z.string() },
    labels: texts,
  }),
  host_status: z.enum(["ok", "unreachable"]).optional(),
  cordoned: z.boolean(),
  nonce: z.string().optional().describe("Of a lease that was acquired by the same request."),
  lease: z.object(leaseMembers).optional().describe("Without its nonce, with `include_leases`."),
  created_at: z.string(),
  updated_at: z.string(),
  events: z.array(eventAnswer).optional(),
  ready: z
    .boolean()
    .optional()
    .describe("Whether proxies send it requests: it runs and its checks pass. Not of Fly's API."),
  checks: z.array(checkAnswer).optional(),
  warnings: z
    .array(z.string())
    .optional()
    .describe(
      "Of a create and an update: members of the request that are kept, or taken, and not acted on; and combinations that cannot work.",
    ),
});

const appAnswer = z.object({
  ...{ id: z.string(), name: z.string(), status: z.string(), network: z.string() },
  ...{ machine_count: z.int(), volume_count: z.int() },
  organization: z.object({ name: z.string(), slug: z.string() }),
  created_at: z.int().optional().describe("Milliseconds since the epoch."),
});

const hostnameAnswer = z.object({
  ...{ hostname: z.string(), app: z.string() },
  created_at: z.string().optional().describe("Absent for the names that every app has."),
});

const orgMachineAnswer = z.object({
  ...{ id: z.string(), name: z.string(), app_name: z.string(), state: z.string(), region: z.string() },
  ...{ instance_id: z.string(), version: z.string(), private_ip: z.string() },
  ...{ created_at: z.string(), updated_at: z.string() },
  config: z.object({ image: z.string().optional(), guest: anything.optional(), metadata: texts }).optional(),
});

const versionAnswer = z.object({ version: z.string(), user_config: configSchema });

const leaseAnswer = z.object({
  status: z.literal("success"),
  data: z.object(leaseMembers),
  ...leaseMembers,
});

const processAnswer = z.object({
  ...{ pid: z.int(), stime: z.int(), rtime: z.int(), cpu: z.int(), rss: z.int() },
  ...{ command: z.string(), directory: z.string() },
  listen_sockets: z.array(z.object({ proto: z.string(), address: z.string() })),
});

const regionAnswer = z.object({
  ...{ code: z.string(), name: z.string(), latitude: z.number(), longitude: z.number() },
  ...{ gateway_available: z.boolean(), requires_paid_plan: z.boolean(), deprecated: z.boolean() },
  geo_region: z.string().optional(),
});

const tokenAnswer = z.object({
  ...{ token_id: z.string(), org_slug: z.string(), organization: z.string(), user: z.string() },
  apps: z
    .array(z.string())
    .describe("Apps that the token is restricted to; empty without such a restriction."),
  restricted_to_machine: z.string().optional(),
});

const attemptAnswer = z.object({
  step: z.int().describe("Counts from 0."),
  machine_id: z.string().optional(),
  outcome: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  duration: z.string(),
});

/** Answers by name. */
export const answers = {
  app: appAnswer,
  apps: z.object({ apps: z.array(appAnswer), total_apps: z.int() }),
  hostname: hostnameAnswer,
  hostnames: z.object({ hostnames: z.array(hostnameAnswer) }),
  machine: machineAnswer,
  machines: z.array(machineAnswer),
  orgMachines: z.object({
    machines: z.array(orgMachineAnswer),
    next_cursor: z.string().optional(),
    last_machine_id: z.string().optional(),
    last_updated_at: z.string().optional(),
    error_regions: z.array(z.string()),
  }),
  events: z.array(eventAnswer),
  versions: z.array(versionAnswer),
  started: z.object({
    ...{ previous_state: z.string(), migrated: z.boolean(), new_host: z.string() },
    ...{ message: z.string().optional(), status: z.string().optional() },
  }),
  waited: z.object({
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
  command: z.object({
    ...{ exit_code: z.int(), exit_signal: z.int() },
    ...{ stdout: z.string().describe("The first 1 MiB."), stderr: z.string().describe("The first 1 MiB.") },
    ...{ stdout_base64: z.string().optional(), stderr_base64: z.string().optional() },
    ...{ stdout_truncated: z.literal(true).optional(), stderr_truncated: z.literal(true).optional() },
  }),
  processes: z.array(processAnswer),
  regions: z.object({ regions: z.array(regionAnswer), nearest: z.string() }),
  placements: z.object({
    regions: z.array(z.object({ region: z.string(), count: z.int(), concurrency: z.int() })),
  }),
  tokens: z.object({ tokens: z.array(tokenAnswer) }),
  acquired: z.object({
    app: z.string(),
    machine: machineAnswer,
    step: z.int().describe("The step that has yielded it, from 0."),
    repeated: z.boolean(),
    warnings: z.array(z.string()).optional().describe("As of a create."),
    attempts: z.array(attemptAnswer),
  }),
  error: z.looseObject({
    error: z.string().describe("For a person, and what published clients match."),
    status: z
      .string()
      .describe("The error's class, e.g. `not_found`. Empty when a machine's own host has no room."),
    reason: z.string().describe("Which error it is: stable, e.g. `MACHINE_NOT_FOUND`."),
    request_id: z.string().optional(),
  }),
} as const;

/** Names an answer. */
export type AnswerName = keyof typeof answers;

/** Names of types in clients that are generated. */
export const answerNames: ReadonlyMap<z.ZodType, string> = new Map<z.ZodType, string>([
  [appAnswer, "App"],
  [answers.apps, "AppList"],
  [hostnameAnswer, "Hostname"],
  [answers.hostnames, "HostnameList"],
  [machineAnswer, "Machine"],
  [checkAnswer, "CheckStatus"],
  [eventAnswer, "MachineEvent"],
  [orgMachineAnswer, "OrgMachine"],
  [answers.orgMachines, "OrgMachineList"],
  [versionAnswer, "MachineVersion"],
  [answers.started, "StartResponse"],
  [answers.waited, "WaitResponse"],
  [answers.ok, "OkResponse"],
  [leaseAnswer, "Lease"],
  [answers.released, "ReleaseLeaseResponse"],
  [answers.entry, "MetadataEntry"],
  [answers.command, "MachineExecResponse"],
  [processAnswer, "ProcessStat"],
  [regionAnswer, "Region"],
  [answers.regions, "RegionList"],
  [answers.placements, "PlacementsResponse"],
  [answers.tokens, "CurrentTokens"],
  [answers.acquired, "AcquireResponse"],
  [answers.error, "ErrorResponse"],
]);
