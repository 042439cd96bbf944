// Uses the client as a user's program does, and prints what it saw as JSON.

/**
 * Takes one machine through its life.
 *
 * @param client the package, however it was loaded
 */
export async function run(client) {
  const { endpoints, token, app, image } = JSON.parse(process.env.SETTINGS);
  const windhover = new client.Windhover({ endpoints, token });
  try {
    process.stdout.write(JSON.stringify(await life(client, windhover, app, image)));
  } finally {
    windhover.close();
  }
}

async function life(client, windhover, app, image) {
  const { machines, exec, leases, tokens } = windhover;
  const seen = {};
  const config = { image, files: client.files({ "/etc/greeting": "hello" }), env: { A: "1" } };
  const { id, ...created } = await machines.create({ app, config, skipLaunch: true });
  seen.created = created.state;
  const changes = machines.watch({ machineIds: [id] });
  seen.watched = [(await changes.next()).value.machine.state];

  const { previousState, machine } = await machines.start(id);
  seen.started = [previousState, machine.state, machine.config.env.A];
  const ran = await exec.run(id, ["cat"], { stdin: "hello" });
  seen.ran = [ran.exitCode, ran.stdout];
  const child = await exec.start(id, ["cat"], { stdin: true });
  child.stdin.end("streamed");
  let output = "";
  for await (const bytes of child.stdout) output += bytes;
  seen.streamed = [output, (await child.exit).exitCode];
  seen.leased = await leases.withLease(id, async (held) => {
    const refused = await machines.restart(id).catch((err) => err.reason);
    return [refused, (await machines.restart(id, held)).state];
  });
  seen.listed = (await idsOf(machines.list({ app }))).includes(id);
  seen.stopped = (await machines.stop(id)).state;
  seen.waited = (await machines.wait(id, { states: ["stopped"] })).state;
  const acquired = await windhover.acquire({ steps: [{ start: id }], key: id });
  seen.acquired = [acquired.machine.state, acquired.attempts[0].outcome];
  seen.destroyed = (await machines.destroy(id, { force: true })).state;
  for await (const { machine: each } of changes) {
    if (each.state !== seen.watched.at(-1)) seen.watched.push(each.state);
    if (each.state === "destroyed") break;
  }

  const failure = await machines.start(id).catch((err) => err);
  seen.failed = [client.isWindhoverError(failure), failure.code, failure.reason];
  seen.attenuated = (await tokens.attenuate({ apps: [app], ttlMs: 60_000 })).length > 0;
  return seen;
}

async function idsOf(iterable) {
  const all = [];
  for await (const { id } of iterable) all.push(id);
  return all;
}
