import { randomUUID } from "node:crypto";
import type { Rpc, Story } from "./story.ts";

/** Of a host that is there. */
const NOBODY = "00001000000000";
const MACHINES = "windhover.machines.v1.MachinesService";
const EXEC = "windhover.machines.v1.ExecService";
const LEASES = "windhover.machines.v1.LeasesService";
const ACQUIRE = "windhover.machines.v1.AcquireService";
const PLATFORM = "windhover.machines.v1.PlatformService";
const APPS = "windhover.machines.v1.AppsService";
const REGISTRIES = "windhover.machines.v1.RegistriesService";
const ORGS = "windhover.admin.v1.OrganizationsService";
const TOKENS = "windhover.admin.v1.TokensService";
const AUDIT = "windhover.admin.v1.AuditService";
const HOSTS = "windhover.admin.v1.HostsService";
const RESERVATIONS = "windhover.admin.v1.ReservationsService";

const noMachine = [{ machineId: NOBODY }, "MACHINE_NOT_FOUND"] as const;
const theMachine = ({ machine: machineId }: Story) => [{ machineId }];
const leased = ({ machine: machineId, nonce: leaseNonce }: Story) => ({ machineId, leaseNonce });
const requestId = randomUUID();

/** Every public RPC, in the order of one story. */
export const RPCS: readonly Rpc[] = [
  {
    method: `${ORGS}/CreateOrganization`,
    requests: () => [{ slug: "umbrella", name: "Umbrella" }],
    answers: { organization: { slug: "umbrella" } },
    fails: [{ slug: "umbrella" }, "ORG_SLUG_TAKEN"],
  },
  {
    method: `${ORGS}/GetOrganization`,
    requests: () => [{ slug: "umbrella" }],
    answers: { organization: { slug: "umbrella" } },
    fails: [{ slug: "nobody" }, "ORG_NOT_FOUND"],
  },
  {
    method: `${ORGS}/ListOrganizations`,
    requests: () => [{}],
    answers: {},
    fails: [{ pageToken: "?" }, "INVALID_FIELDS"],
  },
  {
    method: `${ORGS}/UpdateOrganization`,
    requests: () => [{ slug: "umbrella", standing: "STANDING_PAST_DUE" }],
    answers: { organization: { standing: "STANDING_PAST_DUE" } },
    fails: [{ slug: "nobody", standing: "STANDING_GOOD" }, "ORG_NOT_FOUND"],
  },
  {
    method: `${ORGS}/CreateToken`,
    requests: () => [{ org: "umbrella", scopes: ["machines:read"], subject: "curl", ttlSeconds: "60" }],
    learn: ({ id }, story) => {
      story.token = String(id);
    },
    fails: [{ org: "nobody", scopes: ["machines:read"], subject: "curl", ttlSeconds: "60" }, "ORG_NOT_FOUND"],
  },
  {
    method: `${TOKENS}/ListTokens`,
    requests: () => [{ org: "umbrella" }],
    fails: [{ org: "umbrella", pageToken: "?" }, "INVALID_FIELDS"],
  },
  {
    method: `${TOKENS}/RevokeToken`,
    requests: ({ token }) => [{ id: token }],
    answers: { known: true },
    fails: [{}, "INVALID_FIELDS"],
  },
  {
    method: `${TOKENS}/RevokeOrganizationTokens`,
    requests: () => [{ org: "umbrella" }],
    fails: [{ org: "nobody" }, "ORG_NOT_FOUND"],
  },
  { method: `${TOKENS}/ListTokenKeys`, requests: () => [{}], fails: undefined },
  {
    method: `${APPS}/CreateApp`,
    requests: ({ app }) => [{ name: app }],
    answers: { app: { org: "personal" } },
    fails: [{ name: "-" }, "INVALID_FIELDS"],
  },
  {
    method: `${APPS}/GetApp`,
    requests: ({ app }) => [{ name: app }],
    fails: [{ name: "nobody" }, "APP_NOT_FOUND"],
  },
  { method: `${APPS}/ListApps`, requests: () => [{}], fails: [{ pageToken: "?" }, "INVALID_FIELDS"] },
  {
    method: `${APPS}/AddHostname`,
    requests: ({ app }) => [{ app, hostname: "www.example.com" }],
    answers: { hostname: { name: "www.example.com" } },
    fails: [{ app: "nobody", hostname: "www.example.org" }, "APP_NOT_FOUND"],
  },
  {
    method: `${APPS}/ListHostnames`,
    requests: ({ app }) => [{ app }],
    fails: [{ app: "nobody" }, "APP_NOT_FOUND"],
  },
  {
    method: `${APPS}/RemoveHostname`,
    requests: ({ app }) => [{ app, hostname: "www.example.com" }],
    fails: [{ app: "nobody", hostname: "www.example.com" }, "APP_NOT_FOUND"],
  },
  {
    method: `${REGISTRIES}/SetRegistryCredentials`,
    requests: ({ registry }) => [
      { registry, credentials: { username: "me", password: "secret" }, skipCheck: true },
    ],
    answers: { login: { username: "me" } },
    fails: [{ registry: "?" }, "INVALID_FIELDS"],
  },
  {
    method: `${REGISTRIES}/ListRegistryCredentials`,
    requests: () => [{}],
    fails: [{ pageToken: "?" }, "INVALID_FIELDS"],
  },
  {
    method: `${REGISTRIES}/DeleteRegistryCredentials`,
    requests: ({ registry }) => [{ registry }],
    fails: [{ registry: "nobody.example" }, "REGISTRY_NOT_FOUND"],
  },
  { method: `${PLATFORM}/ListRegions`, requests: () => [{}], fails: undefined },
  {
    method: `${PLATFORM}/EstimatePlacements`,
    requests: () => [{ count: 3 }],
    fails: [{ region: "nowhere" }, "REGION_UNKNOWN"],
  },
  {
    method: `${PLATFORM}/GetCaller`,
    requests: () => [{}],
    answers: { org: "personal" },
    fails: undefined,
  },
  {
    method: `${MACHINES}/CreateMachine`,
    requests: ({ app, image: of }) => [{ app, requestId, skipLaunch: true, config: { image: of } }],
    answers: { machine: { state: "MACHINE_STATE_CREATED" } },
    learn: ({ machine }, story) => {
      const { id, instanceId } = machine as { id: string; instanceId: string };
      Object.assign(story, { machine: id, instance: instanceId });
    },
    fails: [{ app: "nobody", config: { image: "127.0.0.1:1/x" } }, "APP_NOT_FOUND"],
  },
  {
    method: `${MACHINES}/WatchCreate`,
    requests: () => [{ requestId }],
    answers: { step: "commit", status: "done" },
    fails: [{ requestId: "?" }, "INVALID_FIELDS"],
  },
  { method: `${MACHINES}/GetMachine`, requests: theMachine, fails: noMachine },
  {
    method: `${MACHINES}/ListMachines`,
    requests: ({ app }) => [{ app }],
    fails: [{ app: "nobody" }, "APP_NOT_FOUND"],
  },
  {
    method: `${MACHINES}/StartMachine`,
    requests: theMachine,
    answers: { previousState: "MACHINE_STATE_CREATED", machine: { state: "MACHINE_STATE_STARTED" } },
    fails: noMachine,
  },
  {
    method: `${MACHINES}/WaitMachine`,
    requests: ({ machine }) => [{ machineId: machine, states: ["MACHINE_STATE_STARTED"] }],
    answers: { machine: { state: "MACHINE_STATE_STARTED" } },
    fails: noMachine,
  },
  {
    method: `${MACHINES}/WatchMachines`,
    requests: ({ machine }) => [{ machineIds: [machine] }],
    enough: 1,
    fails: [{ machineIds: [NOBODY] }, "MACHINE_NOT_FOUND"],
  },
  {
    method: `${LEASES}/AcquireLease`,
    requests: ({ machine }) => [{ machineId: machine, ttl: "60s", description: "curl" }],
    answers: { lease: { description: "curl" } },
    learn: ({ lease }, story) => {
      story.nonce = (lease as { nonce: string }).nonce;
    },
    fails: noMachine,
  },
  { method: `${LEASES}/GetLease`, requests: theMachine, answers: { lease: {} }, fails: noMachine },
  {
    method: `${MACHINES}/SetMachineCordon`,
    requests: (story) => [{ ...leased(story), cordoned: true }],
    answers: { machine: { cordoned: true } },
    fails: noMachine,
  },
  {
    method: `${MACHINES}/UpdateMetadata`,
    requests: ({ machine: machineId }) => [{ machineId, set: { a: "1", b: "2" } }],
    fails: [{ machineId: NOBODY, set: { a: "1" } }, "MACHINE_NOT_FOUND"],
  },
  {
    method: `${EXEC}/RunCommand`,
    requests: (story) => [{ ...leased(story), command: ["cat"], stdin: base64("hello") }],
    answers: { stdout: base64("hello") },
    fails: [{ machineId: NOBODY, command: ["x"] }, "MACHINE_NOT_FOUND"],
  },
  {
    method: `${EXEC}/ExecMachine`,
    requests: ({ machine, nonce }) => [
      { machineId: machine, start: { command: ["cat"], stdin: true, leaseNonce: nonce } },
      { stdin: base64("hello") },
      { stdinEnd: true },
    ],
    answers: { stdout: base64("hello") },
    fails: [{ machineId: NOBODY, start: { command: ["x"] } }, "MACHINE_NOT_FOUND"],
  },
  { method: `${EXEC}/ListProcesses`, requests: theMachine, fails: noMachine },
  {
    method: `${MACHINES}/SignalMachine`,
    requests: (story) => [{ ...leased(story), signal: "SIGWINCH" }],
    // The program does not handle it: the machine stops, and the restart starts it.
    fails: [{ machineId: NOBODY, signal: "SIGHUP" }, "MACHINE_NOT_FOUND"],
  },
  {
    method: `${MACHINES}/RestartMachine`,
    requests: (story) => [leased(story)],
    answers: { machine: { state: "MACHINE_STATE_STARTED" } },
    fails: noMachine,
  },
  {
    method: `${MACHINES}/UpdateMachine`,
    requests: (story) => [
      { ...leased(story), currentVersion: story.instance, config: { image: story.image, env: { A: "1" } } },
    ],
    answers: { machine: { state: "MACHINE_STATE_STARTED" } },
    fails: [{ machineId: NOBODY, config: { image: "127.0.0.1:1/x" } }, "MACHINE_NOT_FOUND"],
  },
  {
    method: `${MACHINES}/StopMachine`,
    requests: (story) => [leased(story)],
    answers: { machine: { state: "MACHINE_STATE_STOPPED" } },
    fails: noMachine,
  },
  {
    method: `${LEASES}/ReleaseLease`,
    requests: ({ machine: machineId, nonce }) => [{ machineId, nonce }],
    fails: [{ machineId: NOBODY, nonce: "0".repeat(32) }, "MACHINE_NOT_FOUND"],
  },
  { method: `${MACHINES}/StreamLogs`, requests: theMachine, fails: noMachine },
  {
    method: `${MACHINES}/ListMachineEvents`,
    requests: theMachine,
    answers: { events: { 0: { type: "exit" } } },
    fails: noMachine,
  },
  { method: `${MACHINES}/ListMachineVersions`, requests: theMachine, fails: noMachine },
  {
    method: `${ACQUIRE}/AcquireMachine`,
    requests: ({ machine }) => [{ steps: [{ start: { machineId: machine } }], key: "curl" }],
    answers: { machine: { state: "MACHINE_STATE_STARTED" } },
    fails: [{ steps: [{ start: { machineId: NOBODY } }] }, "NO_STEP_WORKED"],
  },
  {
    method: `${MACHINES}/SuspendMachine`,
    requests: theMachine,
    answers: { machine: { state: "MACHINE_STATE_SUSPENDED" } },
    fails: noMachine,
  },
  {
    method: `${MACHINES}/DestroyMachine`,
    requests: ({ machine: machineId }) => [{ machineId, force: true }],
    answers: { machine: { state: "MACHINE_STATE_DESTROYED" } },
    fails: noMachine,
  },
  {
    method: `${APPS}/DeleteApp`,
    requests: ({ app }) => [{ name: app }],
    fails: [{ name: "nobody" }, "APP_NOT_FOUND"],
  },
  { method: `${HOSTS}/ListHosts`, requests: () => [{}], fails: [{ pageToken: "?" }, "INVALID_FIELDS"] },
  {
    method: `${HOSTS}/SetHostScheduling`,
    requests: ({ host }) => [{ host, scheduling: "SCHEDULING_CORDONED" }],
    fails: [{ host: "nobody", scheduling: "SCHEDULING_CORDONED" }, "HOST_UNKNOWN"],
  },
  {
    method: `${HOSTS}/DrainHost`,
    requests: ({ host }) => [{ host }],
    fails: [{ host: "nobody" }, "HOST_UNKNOWN"],
  },
  {
    method: `${RESERVATIONS}/ListReservations`,
    requests: () => [{}],
    fails: [{ pageToken: "?" }, "INVALID_FIELDS"],
  },
  {
    method: `${AUDIT}/ReadAudit`,
    requests: ({ org }) => [{ org }],
    fails: undefined,
  },
];

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
