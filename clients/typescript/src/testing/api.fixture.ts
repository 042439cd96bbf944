import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import type { Code, Violation } from "../calls/errors.ts";
import { BadRequest, ErrorInfo, RetryInfo } from "../gen/google/rpc/error_details.ts";
import { Status } from "../gen/google/rpc/status.ts";
import { HealthService } from "../gen/grpc/health/v1/health.ts";
import * as acquire from "../gen/windhover/machines/v1/acquire.ts";
import * as apps from "../gen/windhover/machines/v1/apps.ts";
import * as exec from "../gen/windhover/machines/v1/exec.ts";
import * as leases from "../gen/windhover/machines/v1/leases.ts";
import { Machine } from "../gen/windhover/machines/v1/machine.ts";
import * as machines from "../gen/windhover/machines/v1/machines.ts";
import { Windhover } from "../index.ts";
import { duration } from "../values/duration.ts";
import { type MachineState, stateToProto } from "../values/machine.ts";

/** Answers a unary call. */
export type Done = (err: unknown, response?: object) => void;

/** A method of the contract, as its kind of call needs it. */
type Method = (call: never, done: Done) => void;

/** An api that answers by a script. */
export interface ScriptedApi {
  readonly address: string;
  /** Cuts all connections and answers no more. */
  kill(): void;
}

const SERVICES = [
  [machines.MachinesServiceService, machines],
  [exec.ExecServiceService, exec],
  [leases.LeasesServiceService, leases],
  [apps.AppsServiceService, apps],
  [acquire.AcquireServiceService, acquire],
] as const;

/** Serves methods by their names in the contract, with fields left out. Others are UNIMPLEMENTED. */
export async function serveApi(
  methods: Readonly<Record<string, Method>>,
  { healthAfterMs = 0 } = {},
): Promise<ScriptedApi> {
  const server = new Server();
  for (const [service, codecs] of SERVICES) {
    const own = Object.entries(service).filter(([name]) => name in methods);
    if (own.length === 0) continue;
    const handlers = Object.fromEntries(own.map(([name]) => [name, methods[name]]));
    const completed = own.map(([name, definition]) => [name, completing(definition, codecs)]);
    // Each method is called as its definition says.
    const implementation = handlers as unknown as UntypedServiceImplementation;
    server.addService(Object.fromEntries(completed) as ServiceDefinition, implementation);
  }
  const check: handleUnaryCall<unknown, object> = (_call, done) => {
    setTimeout(() => done(null, { status: 1 }), healthAfterMs);
  };
  server.addService(HealthService, { check });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (err, bound) => {
      if (err) reject(err);
      else resolve(bound);
    });
  });
  return { address: `127.0.0.1:${port}`, kill: () => server.forceShutdown() };
}

/** Lets a method answer with fields left out. */
function completing(definition: { readonly path: string }, codecs: object): object {
  const name = `${definition.path.split("/").at(-1)}Response`;
  // By the names of the contract.
  const codec = (codecs as Readonly<Record<string, Codec>>)[name];
  if (codec === undefined) throw new Error(`there is no ${name}`);
  const responseSerialize = (response: object) =>
    Buffer.from(codec.encode(codec.fromPartial(response)).finish());
  return { ...definition, responseSerialize };
}

interface Codec {
  fromPartial(response: object): object;
  encode(response: object): { finish(): Uint8Array };
}

/** Makes an error as the api sends it. */
export function apiError(
  code: Code,
  reason: string,
  extra: {
    readonly facts?: Readonly<Record<string, string>>;
    readonly retryAfterMs?: number;
    readonly violations?: readonly Violation[];
  } = {},
): Partial<ServiceError> {
  const { facts = {}, retryAfterMs, violations = [] } = extra;
  const info = ErrorInfo.fromPartial({ reason, domain: "windhover.dev", metadata: facts });
  const details = [pack(ErrorInfo.$type, ErrorInfo.encode(info).finish())];
  const wrong = BadRequest.fromPartial({ fieldViolations: [...violations] });
  details.push(pack(BadRequest.$type, BadRequest.encode(wrong).finish()));
  if (retryAfterMs !== undefined) {
    const retry = RetryInfo.fromPartial({ retryDelay: duration(retryAfterMs) });
    details.push(pack(RetryInfo.$type, RetryInfo.encode(retry).finish()));
  }
  const metadata = new Metadata();
  const whole = Status.fromPartial({ code: status[code], message: reason, details });
  metadata.set("grpc-status-details-bin", Buffer.from(Status.encode(whole).finish()));
  return { code: status[code], details: reason, metadata };
}

/** The id of a machine. */
export const ID = "0000a1b2c3d4e5";

/** Opens a client of apis. All are closed after the test. */
export function clientOf(...apis: readonly ScriptedApi[]): Windhover {
  const windhover = new Windhover({ endpoints: apis.map(({ address }) => address), token: "t" });
  onTestFinished(() => {
    windhover.close();
    for (const { kill } of apis) kill();
  });
  return windhover;
}

/** Makes a machine in a state. */
export function machineIn(state: MachineState, id = ID): Machine {
  return Machine.fromPartial({ id, state: stateToProto(state) });
}

function pack(type: string, value: Uint8Array) {
  return { typeUrl: `type.googleapis.com/${type}`, value };
}
