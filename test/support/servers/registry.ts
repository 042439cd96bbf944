import { join } from "node:path";
import { registry } from "../../../dev/services/registry.ts";
import { freePorts } from "../../../dev/settings/ports.ts";
import { Part } from "../../../dev/supervisor/part.ts";
import { startOrRemove, temporaryFolder } from "../temporary.ts";

/** An OCI registry of one's own. */
export interface TestRegistry {
  /** `127.0.0.1:port`: what an image reference begins with. */
  readonly address: string;
  readonly part: Part;
  close(): Promise<void>;
}

/** Starts Debian's `docker-registry`, empty, on a free port. */
export async function startRegistry(): Promise<TestRegistry> {
  const scratch = temporaryFolder("registry");
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const part = new Part(registry({ folder: scratch.path, logFile: join(scratch.path, "log"), address }));
  await startOrRemove(part, scratch);
  return {
    address,
    part,
    async close() {
      await part.stop();
      scratch.remove();
    },
  };
}
