import type { Machine } from "../../../../gen/windhover/machines/v1/machine.ts";
import { toJson } from "../../../render/json.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import type { Session } from "../../../session/session.ts";
import type { HoverCommand } from "../../command.ts";
import { APP_FLAG, type AppFlag, allMachines, appOf, machinesClient } from "../../find.ts";
import { aboutMachines, forEachMachine } from "../each.ts";
import { LEASE_FLAG, type LeaseFlag } from "../lease/lease-flag.ts";

const TIMEOUT_MS = 120_000;

interface DestroyFlags extends AppFlag, LeaseFlag {
  readonly force?: boolean;
  readonly image?: string;
}

export function defineDestroy(machine: HoverCommand): void {
  machine
    .leaf("destroy [machine...]", "Removes machines from their hosts for good")
    .aliases(["rm", "remove"])
    .option(...APP_FLAG)
    .option("-f, --force", "also when they run")
    .option("-i, --image <image>", "all machines of the app with this image or digest")
    .option(...LEASE_FLAG)
    .examples("hover machine destroy ID --force", "hover machine destroy -a web --image web:1")
    .runs<[string[]], DestroyFlags>(
      async (session, [given], flags) => {
        const ids = [...given, ...(await ofImage(session, flags))];
        if (ids.length === 0) throw new UsageError("Which machine? Give its id, or --image.");
        await forEachMachine(session, ids, flags, "destroy", async ({ client, id, span }) => {
          const { force = false, leaseNonce = "" } = flags;
          const request = { machineId: id, force, leaseNonce };
          const options = { timeoutMs: TIMEOUT_MS, span };
          const answer = await session.call(client, client.destroyMachine, request, options);
          return { ok: true, text: "destroyed", json: { machine: toJson(answer.machine) } };
        });
      },
      ([ids], flags) => aboutMachines([ids], flags),
    );
}

/** Finds the machines of the app that `--image` names. */
async function ofImage(session: Session, { image, ...flags }: DestroyFlags): Promise<string[]> {
  if (image === undefined) return [];
  const app = appOf(session, flags);
  if (app === undefined) throw new UsageError("--image needs an app: -a APP");
  const client = await machinesClient(session);
  const all = await Array.fromAsync(allMachines(session, client, { app }));
  const found = all.filter((machine) => hasImage(machine, image)).map(({ id }) => id);
  if (found.length === 0) throw new UsageError(`No machine of the app ${app} has the image ${image}.`);
  return found;
}

function hasImage({ config, imageRef }: Machine, image: string): boolean {
  return config?.image === image || imageRef?.digest === image || imageRef?.digest === `sha256:${image}`;
}
