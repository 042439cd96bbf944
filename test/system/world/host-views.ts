import { readFileSync } from "node:fs";
import { HostServiceClient, ListMachinesRequest } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { ImageCacheServiceClient } from "../../../src/gen/windhover/imagecache/v1/imagecache.ts";
import { type Machine, MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { Resources } from "../../../src/gen/windhover/scheduler/v1/host.ts";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import { call, connect } from "../../../src/lib/grpc/client.ts";
import type { TestFleet } from "../../support/fleet.ts";

/** A host as it sees itself. */
export interface HostView {
  readonly name: string;
  readonly number: number;
  readonly capacity: Resources;
  readonly held: Resources;
  readonly allocated: Resources;
  /** Reservations that it holds something for. */
  readonly holds: readonly string[];
  /** Events that no api has acknowledged. */
  readonly undelivered: number;
  /** All but those that are destroyed. */
  readonly machines: readonly Machine[];
  /** Who pins images in the cache beside it. */
  readonly pins: readonly string[];
}

/** The hosts of a fleet, asked directly. */
export interface HostViews {
  /** @throws Fault when one does not answer */
  all(): Promise<readonly HostView[]>;
  /** Those that answer. */
  answering(): Promise<readonly HostView[]>;
  close(): void;
}

const LIMIT = { timeoutMs: 15_000 };
const TOKEN_SECONDS = 3_600;

/** Connects to every host and image cache of a fleet. */
export async function openHostViews(fleet: TestFleet): Promise<HostViews> {
  const key = readFileSync(fleet.signingKeyFile, "utf8");
  const claims = { subject: "invariants", org: "", scopes: ["internal"] } as const;
  const token = await mintToken(key, claims, TOKEN_SECONDS);
  const options = { token: () => token };
  const hosts = fleet.hosts.map(({ name, number, hostd, imagecache }) => ({
    name,
    number,
    hostd: connect(HostServiceClient, hostd, options),
    images: connect(ImageCacheServiceClient, imagecache, options),
  }));
  const look = async ({ name, number, hostd, images }: (typeof hosts)[number]): Promise<HostView> => {
    const [host, { machines }, cached] = await Promise.all([
      call(hostd, hostd.getHost, {}, LIMIT),
      call(hostd, hostd.listMachines, ListMachinesRequest.create(), LIMIT),
      call(images, images.listImages, { pageSize: 1_000, pageToken: "" }, LIMIT),
    ]);
    return {
      name,
      number,
      capacity: Resources.fromPartial(host.info?.capacity ?? {}),
      held: Resources.fromPartial(host.status?.held ?? {}),
      allocated: Resources.fromPartial(host.status?.allocated ?? {}),
      holds: host.holds.map(({ reservationId }) => reservationId),
      undelivered: Number(host.outboxSequence - host.outboxAcknowledged),
      machines: machines.filter(({ state }) => state !== MachineState.DESTROYED),
      pins: cached.images.flatMap(({ owners }) => owners),
    };
  };
  return {
    all: () => Promise.all(hosts.map(look)),
    async answering() {
      const answers = await Promise.allSettled(hosts.map(look));
      return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    },
    close() {
      for (const { hostd, images } of hosts) {
        hostd.close();
        images.close();
      }
    },
  };
}
