import { type DrainHostResponse, HostsServiceClient } from "../../gen/windhover/admin/v1/hosts.ts";
import { EXIT } from "../report.ts";
import type { Handler } from "../runner.ts";
import { textJson } from "../show/json.ts";
import { stateName } from "../show/states.ts";

/** A host may have many machines, and each may take its whole grace. */
const TIMEOUT_MS = 60 * 60_000;

/** `hover host drain`. Ctrl-C leaves the host draining; the same command goes on. */
export const drainHost: Handler<[string], object> = async (session, [host]) => {
  const { openStream } = await import("../grpc.ts");
  const client = await session.client(HostsServiceClient);
  const machines: DrainHostResponse[] = [];
  let hostNumber = 0;
  try {
    for await (const one of openStream(client, client.drainHost, { host }, await session.scope(TIMEOUT_MS))) {
      hostNumber = one.hostNumber;
      if (one.machineId === "") session.say(begun(host, one.total));
      else {
        machines.push(one);
        if (!session.json) session.printLines([line(one)]);
      }
    }
  } catch (err) {
    if (session.signal.aborted)
      session.say(
        `Interrupted; ${host} starts no machines all the same.\nTo go on: hover host drain ${host}`,
      );
    throw err;
  }
  const left = machines.filter((one) => one.problem !== "");
  if (session.json) {
    session.printJson({
      host_number: hostNumber,
      scheduling: "draining",
      machines: machines.map(({ machineId, state, problem }) => ({
        id: machineId,
        state: stateName(state),
        problem: textJson(problem),
      })),
    });
  } else if (left.length === 0) {
    session.say(`${host} is empty.\nNext: hover host uncordon ${host}   (when it is to be used again)`);
  } else {
    session.say(`${left.length} of ${machines.length} still run.\nNext: hover host drain ${host}`);
  }
  return left.length === 0 ? EXIT.ok : EXIT.failed;
};

function begun(host: string, total: number): string {
  const what = total === 0 ? "nothing runs there" : `stopping ${total} machine${total === 1 ? "" : "s"}`;
  return `${host} takes and starts no more machines; ${what}`;
}

function line({ machineId, state, problem, done, total }: DrainHostResponse): string {
  const width = String(total).length;
  const outcome = problem === "" ? stateName(state) : `not stopped: ${problem}`;
  return `${String(done).padStart(width)}/${total}  ${machineId}  ${outcome}`;
}
