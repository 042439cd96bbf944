import { type DrainHostResponse, HostsServiceClient } from "../../../gen/windhover/admin/v1/hosts.ts";
import { toJson } from "../../render/json.ts";
import { stateName } from "../../render/names.ts";
import { count } from "../../render/time.ts";
import { Absence } from "../../session/absence.ts";
import { EXIT } from "../../session/report.ts";
import type { Session } from "../../session/session.ts";

/** A host may have many machines, and each may take its whole grace. */
const TIMEOUT_MS = 60 * 60_000;

/** Runs `hover host drain`. Ctrl-C leaves the host draining; the same command goes on. */
export async function drainHost(session: Session, [host]: [string]): Promise<void> {
  const byId = new Map<string, DrainHostResponse>();
  let hostNumber = 0;
  try {
    for await (const one of stopsOf(session, host)) {
      hostNumber = one.hostNumber;
      if (one.machineId === "") {
        const what = one.total === 0 ? "no machine runs there" : `stopping ${count(one.total, "machine")}`;
        session.say(`${host} takes and starts no more machines; ${what}`);
      } else {
        byId.set(one.machineId, one);
        if (!session.json) session.printLines([line(one)]);
      }
    }
  } catch (err) {
    if (session.signal.aborted) {
      session.say(`Interrupted; ${host} still takes and starts no machines.`);
      session.suggest(`hover host drain ${host}   (goes on)`);
    }
    throw err;
  }
  const machines = [...byId.values()];
  const running = machines.filter((one) => one.problem !== "").length;
  if (running > 0) session.exitCode = EXIT.failed;
  if (session.json) {
    session.printJson({
      host_number: hostNumber,
      scheduling: "draining",
      machines: machines.map(({ machineId, state, problem }) => ({
        id: machineId,
        state: stateName(state),
        problem: toJson(problem, "problem"),
      })),
    });
  } else if (running === 0) {
    session.say(`${host} is empty.`);
    session.suggest(`hover host uncordon ${host}   (to use it again)`);
  } else {
    session.say(`${running} of ${machines.length} still run.`);
    session.suggest(`hover host drain ${host}`);
  }
}

/** Drains; again while the API restarts, which then tells of the machines that are left. */
async function* stopsOf(session: Session, host: string): AsyncGenerator<DrainHostResponse> {
  const client = await session.client(HostsServiceClient);
  const absence = new Absence(session);
  for (;;) {
    try {
      for await (const one of session.stream(client, client.drainHost, { host }, { timeoutMs: TIMEOUT_MS })) {
        absence.over();
        yield one;
      }
      return;
    } catch (err) {
      await absence.pause(err);
    }
  }
}

function line({ machineId, state, problem, done, total }: DrainHostResponse): string {
  const width = String(total).length;
  const outcome = problem === "" ? stateName(state) : `not stopped: ${problem}`;
  return `${String(done).padStart(width)}/${total}  ${machineId}  ${outcome}`;
}
