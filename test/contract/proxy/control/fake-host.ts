import {
  type AttachProxyRequest,
  type AttachProxyResponse,
  type HostServiceServer,
  HostServiceService,
  RoutedMachine,
  StartMachineResponse,
  type StopMachineRequest,
  StopMachineResponse,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { RULES } from "../../../../src/hostd/service-rules.ts";
import { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { durationFromProto, durationToProto } from "../../../../src/lib/grpc/messages/duration.ts";
import { bidiWire, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../../src/lib/grpc/server/serve.ts";
import type { Wire } from "../../../../src/lib/grpc/wire.ts";

/** A host with machines in memory, behind real gRPC. */
export class FakeHost {
  /** What proxies have said and asked, in order: `attach ID`, `use M`, `release M`, `start M`, `stop M`. */
  readonly log: string[] = [];
  readonly traceparents: string[] = [];
  /** Of the last conditional stop, in milliseconds. */
  ifUnusedForMs: number | undefined;
  /** Refuses the next stops with this. */
  readonly stopFaults: Fault[] = [];
  /** Refuses starts with this. */
  startFault: Fault | undefined;
  readonly #machines = new Map<string, RoutedMachine>();
  readonly #wires = new Set<Wire<AttachProxyResponse>>();
  readonly #verifier: TokenVerifier;
  #running: Awaited<ReturnType<typeof serve>> | undefined;
  #port = 0;

  constructor(publicKey: string) {
    this.#verifier = new TokenVerifier(publicKey);
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer({ verifier: this.#verifier, rules: RULES });
    // Only what a proxy calls.
    const service: Partial<HostServiceServer> = {
      attachProxy: bidiWire((wire) => this.#attach(wire)),
      startMachine: unary(({ machineId, source, fromProxy }, { metadata }) => {
        this.log.push(`start ${machineId} ${source} ${fromProxy}`);
        this.traceparents.push(String(metadata.get("traceparent")[0] ?? ""));
        if (this.startFault) throw this.startFault;
        this.change(machineId, { state: MachineState.STARTING });
        this.change(machineId, { state: MachineState.STARTED });
        const { generation = 0n } = this.#machines.get(machineId) ?? {};
        const machine = {
          id: machineId,
          generation,
          state: MachineState.STARTED,
          lastStartTraceId: "trace-1",
        };
        return StartMachineResponse.fromPartial({ machine, startPath: "warm" });
      }),
      stopMachine: unary((request) => this.#stop(request)),
    };
    server.addService(HostServiceService, service as HostServiceServer);
    this.#running = await serve(server, this.address, 0);
    this.#port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
    this.#running = undefined;
  }

  /** Ends all streams, as a network does. */
  cut(fault = new Fault("UNAVAILABLE", "CUT", "the stream is cut")): void {
    for (const wire of this.#wires) wire.fail(fault);
  }

  /** @param port where its program listens */
  add(id: string, port: number): void {
    const serviceAddresses = [{ protocol: "tcp", internalPort: 8080, address: `127.0.0.1:${port}` }];
    const state = MachineState.STOPPED;
    this.#machines.set(
      id,
      RoutedMachine.fromPartial({ id, state, generation: 1n, instanceId: "v1", serviceAddresses }),
    );
  }

  /** Changes a machine, and tells it. */
  change(id: string, change: Partial<RoutedMachine>): void {
    const machine = this.#machines.get(id);
    if (!machine) throw new Error(`the fake host has no machine ${id}`);
    const next = { ...machine, ...change, generation: machine.generation + 1n };
    this.#machines.set(id, next);
    for (const wire of this.#wires) wire.send({ machines: [next], usedIds: [], lostUseTime: undefined });
  }

  #stop({ machineId, ifUnusedFor, source }: StopMachineRequest): StopMachineResponse {
    this.log.push(`stop ${machineId} ${source}`);
    this.ifUnusedForMs = durationFromProto(ifUnusedFor);
    const fault = this.stopFaults.shift();
    if (fault) throw fault;
    this.change(machineId, { state: MachineState.STOPPED, ready: false });
    return StopMachineResponse.fromPartial({ machine: { id: machineId } });
  }

  #attach(wire: Wire<AttachProxyResponse>) {
    this.#wires.add(wire);
    return {
      received: (request: AttachProxyRequest) => this.#take(wire, request),
      drained() {},
      finished: () => wire.end(),
      closed: () => void this.#wires.delete(wire),
    };
  }

  #take(wire: Wire<AttachProxyResponse>, { proxyId, watchIds, useIds, released }: AttachProxyRequest): void {
    if (proxyId !== "") this.log.push(`attach ${proxyId}`);
    for (const id of useIds) this.log.push(`use ${id}`);
    for (const { machineId } of released) this.log.push(`release ${machineId}`);
    const machines = [...watchIds, ...useIds].map(
      (id) => this.#machines.get(id) ?? RoutedMachine.fromPartial({ id, missing: true }),
    );
    const lostUseTime = proxyId === "" ? undefined : durationToProto(30_000);
    wire.send({ machines, usedIds: useIds, lostUseTime });
  }
}
