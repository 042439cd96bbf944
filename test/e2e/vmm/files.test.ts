import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Bench, openBench } from "../support/fixture.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench?.close());

describe("files and name resolution", () => {
  test("are there before the program runs, and it can read the files", async () => {
    const files = [
      { path: "/srv/app/conf/secret", content: Buffer.from("hush"), mode: 0o600 },
      { path: "/data/file", content: Buffer.from("new\n"), mode: 0o644 },
      { path: "/data/run", content: Buffer.from("#!/bin/sh\necho ran\n"), mode: 0o755 },
      { path: "/bin/touch", content: Buffer.from("no longer a link\n"), mode: 0o644 },
    ];
    const dns = { nameservers: ["9.9.9.9"], searches: ["corp.example", "example"], options: ["ndots:2"] };
    const script =
      "cat /srv/app/conf/secret; echo; stat -c '%a %U %G' /srv/app/conf/secret; stat -c '%a %U' /srv/app/conf; cat /data/file; /data/run; cat /bin/touch; cat /etc/resolv.conf; hostname; cat /etc/hosts";

    const { vm: other, texts } = await bench.launch(["sh", "-c", script], {
      user: "web",
      files,
      dns,
      hostname: "db.corp.example",
    });
    await other.exited;

    expect(texts()).toEqual([
      ...["hush", "600 web web", "755 root", "new", "ran", "no longer a link"],
      ...["nameserver 9.9.9.9", "search corp.example example", "options ndots:2", "db.corp.example"],
      ...[
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "10.0.2.15\tdb.corp.example db",
      ],
    ]);
  });

  test.each(["/data", "/proc/self/fd/1"])("cannot be at %s", async (path) => {
    const files = [{ path, content: Buffer.from("x"), mode: 0o644 }];

    await expect(bench.launch(["id"], { files })).rejects.toMatchObject({
      kind: "exec",
      reason: "bad_file",
    });
  });
});
