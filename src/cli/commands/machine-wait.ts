import { durationToProto } from "../../lib/grpc/duration.ts";
import type { AppFlag } from "../define/machine.ts";
import { span as time } from "../render/time.ts";
import type { Handler } from "../runner.ts";
import { machineJson } from "../show/machine-json.ts";
import { stateName } from "../show/states.ts";
import { machineId, machinesClient } from "./find.ts";
import { statesOf } from "./machine-list.ts";

const DEFAULT_MS = 60_000;
/** The server keeps the time; this is for the way there and back. */
const MARGIN_MS = 5_000;

/** `hover machine wait`. */
export const waitMachine: Handler<
  [string],
  AppFlag & { state?: readonly string[]; timeout?: number }
> = async (session, [idOrName], flags) => {
  const states = statesOf(flags.state);
  const client = await machinesClient(session);
  const id = await machineId(session, client, idOrName, flags);
  const begun = performance.now();
  const request = {
    machineId: id,
    states,
    timeout: durationToProto(flags.timeout),
  };
  const timeoutMs = (flags.timeout ?? DEFAULT_MS) + MARGIN_MS;
  const { machine } = await session.call(client, client.waitMachine, request, { timeoutMs });
  if (session.json) session.printJson(machine ? machineJson(machine) : null);
  else {
    const state = machine ? stateName(machine.state) : "there";
    session.printLines([`${id} is ${state} (waited ${time(performance.now() - begun)})`]);
  }
  return undefined;
};
