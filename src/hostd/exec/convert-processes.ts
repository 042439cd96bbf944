import type { Process } from "../../gen/windhover/machines/v1/exec.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import type { GuestProcess } from "../vmm/exec.ts";

export function processToProto(process: GuestProcess): Process {
  return {
    pid: process.pid,
    parentPid: process.parentPid,
    command: process.command,
    directory: process.directory,
    cpuTime: durationToProto(process.cpuMs),
    systemTime: durationToProto(process.systemMs),
    runTime: durationToProto(process.runMs),
    residentBytes: BigInt(process.residentBytes),
    listenSockets: process.sockets.map((socket) => ({ ...socket })),
  };
}
