import { duration, isWindhoverError, type Windhover } from "@windhover/client";
import { LABELS, label, versionOf } from "./functions.ts";
import { ensureBaseImage } from "./image/base-image.ts";
import { buildFunctionImage, RUNNER_PORT, repositoryOf, type Source } from "./image/function-image.ts";

/** What a deployment is to be. */
export interface Deployment {
  readonly app: string;
  readonly source: Source;
  /** `host:port`, as hosts reach it too. */
  readonly registry: string;
  /** An image with Node in the registry, e.g. `library/node:24`. Undefined: one is made. */
  readonly base: string | undefined;
  /** Regions to create machines in. Empty: the first two of the fleet. */
  readonly regions: readonly string[];
  /** In each region. */
  readonly machines: number;
  readonly memoryMb: number;
  /** After which a machine exits. */
  readonly idleMs: number;
}

/** What was deployed. */
export interface Deployed {
  readonly version: string;
  readonly image: string;
  readonly machines: readonly { readonly id: string; readonly region: string }[];
}

/**
 * Makes the image of a function and creates its machines, stopped. When all are there, the version
 * becomes the current one. Nothing of it stays when that fails.
 */
export async function deploy(
  windhover: Windhover,
  deployment: Deployment,
  say: (line: string) => void,
): Promise<Deployed> {
  const { app, source, registry } = deployment;
  const base = deployment.base ?? (await ensureBaseImage(registry));
  say(`base image ${registry}/${base}`);
  const built = await buildFunctionImage(registry, base, source);
  const version = versionOf(new Date(), built.digest);
  const image = await built.push(version);
  say(`image ${image}`);
  await ensureApp(windhover, app);

  const regions = deployment.regions.length > 0 ? deployment.regions : await firstRegions(windhover);
  const places = regions.flatMap((region) => Array.from({ length: deployment.machines }, () => region));
  const config = configOf(deployment, image, version);
  const creating = places.map((region) =>
    windhover.machines.create({ app, region, config, skipLaunch: true }),
  );
  const ended = await Promise.allSettled(creating);
  const machines = ended.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  try {
    const failed = ended.find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
    await Promise.all(
      machines.map(({ id }) => windhover.machines.metadata.set(id, { [LABELS.live]: "true" })),
    );
  } catch (err) {
    await Promise.allSettled(machines.map(({ id }) => windhover.machines.destroy(id, { force: true })));
    throw err;
  }
  for (const { id, region } of machines) say(`machine ${id} in ${region}`);
  await removeOldImages(windhover, deployment, version);
  return { version, image, machines };
}

/** Destroys all machines of a function, and deletes its images. Returns the number of machines. */
export async function remove(
  windhover: Windhover,
  app: string,
  registry: string,
  name: string,
): Promise<number> {
  const own = windhover.machines.list({ app, metadata: { [LABELS.function]: name } });
  let count = 0;
  for await (const { id } of own) {
    await windhover.machines.destroy(id, { force: true });
    count += 1;
  }
  const repository = repositoryOf(registry, name);
  for (const tag of await repository.tags()) await repository.remove(tag);
  return count;
}

function configOf({ source, memoryMb, idleMs }: Deployment, image: string, version: string) {
  return {
    image,
    guest: { cpuKind: "shared", cpus: 1, memoryMb },
    env: { FAAS_IDLE_MS: String(idleMs) },
    services: [{ protocol: "tcp", internalPort: RUNNER_PORT }],
    stopConfig: { timeout: duration(2_000) },
    metadata: { [LABELS.function]: source.name, [LABELS.version]: version },
  };
}

async function ensureApp(windhover: Windhover, app: string): Promise<void> {
  try {
    await windhover.apps.get(app);
  } catch (err) {
    if (!isWindhoverError(err, "APP_NOT_FOUND")) throw err;
    await windhover.apps.create(app);
  }
}

async function firstRegions(windhover: Windhover): Promise<readonly string[]> {
  const { regions } = await windhover.platform.regions();
  return regions.slice(0, 2).map(({ code }) => code);
}

/** Deletes images that no machine is of: hosts would need one again only to create another machine. */
async function removeOldImages(
  windhover: Windhover,
  { app, registry, source }: Deployment,
  version: string,
): Promise<void> {
  const used = new Set([version]);
  const own = windhover.machines.list({ app, metadata: { [LABELS.function]: source.name } });
  for await (const machine of own) used.add(label(machine, "version"));
  const repository = repositoryOf(registry, source.name);
  const newest = await repository.manifest(version);
  for (const tag of await repository.tags()) {
    if (used.has(tag)) continue;
    // Two versions of the same source are one manifest with two tags.
    const isSame = (await repository.manifest(tag))?.config.digest === newest?.config.digest;
    if (!isSame) await repository.remove(tag);
  }
}
