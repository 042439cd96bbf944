import { join } from "node:path";
import { redis, redisSocket } from "../../../dev/services/redis.ts";
import { Part } from "../../../dev/supervisor/part.ts";
import { startOrRemove, temporaryFolder } from "../temporary.ts";

/** A Redis server of one's own. */
export interface TestRedis {
  /** Path of its unix socket, in the form that `REDIS_URL` takes. */
  readonly url: string;
  readonly part: Part;
  close(): Promise<void>;
}

/** Starts a server; some 20 ms. */
export async function startRedis(): Promise<TestRedis> {
  const scratch = temporaryFolder("redis");
  const part = new Part(redis({ folder: scratch.path, logFile: join(scratch.path, "log") }));
  await startOrRemove(part, scratch);
  return {
    url: redisSocket(scratch.path),
    part,
    async close() {
      await part.stop();
      scratch.remove();
    },
  };
}
