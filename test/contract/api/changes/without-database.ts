import { temporaryFolder } from "../../../support/temporary.ts";
import { startApi, type TestApi, type World } from "../fixture.ts";

/** Runs `work` with an api that knows all hosts, and whose database does not answer. */
export async function withoutDatabase(world: World, work: (api: TestApi) => Promise<void>): Promise<void> {
  const folder = temporaryFolder("api-state");
  const before = await world.api({ stateDir: folder.path });
  await before.close();
  const api = await startApi(world, {
    stateDir: folder.path,
    databaseUrl: "postgres:///none?host=/nonexistent",
  });
  try {
    await work(api);
  } finally {
    await api.close();
    folder.remove();
  }
}
