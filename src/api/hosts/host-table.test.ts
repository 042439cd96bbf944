import { describe, expect, it } from "vitest";
import { type HostEntry, HostTable, parseHostEntries } from "./host-table.ts";

const HOST: HostEntry = {
  number: 1,
  identity: "a",
  name: "one",
  region: "ord",
  zone: "",
  address: "127.0.0.1:1",
  capacity: { cpus: 1, memoryMb: 2, diskMb: 3 },
  vmm: "",
  acceleration: "",
  isolation: "",
  vmmReason: "",
  labels: {},
  lastSeenMs: 1,
};

describe("the host table", () => {
  it("keeps a number for the first identity that announces it", () => {
    const table = new HostTable();
    table.announce(HOST);

    expect(() => table.announce({ ...HOST, identity: "b" })).toThrow("belongs to another host, one");
    table.announce({ ...HOST, address: "127.0.0.1:2", lastSeenMs: 2 });
    expect(table.get(1)?.address).toBe("127.0.0.1:2");
  });

  it("takes the later entry, and from the database who owns a number", () => {
    const table = new HostTable();
    table.announce({ ...HOST, lastSeenMs: 10 });

    table.learn({ ...HOST, address: "old", lastSeenMs: 5 });
    expect(table.get(1)?.address).toBe(HOST.address);
    table.learn({ ...HOST, address: "new", lastSeenMs: 11 });
    expect(table.get(1)?.address).toBe("new");
    table.learn({ ...HOST, identity: "b", lastSeenMs: 1 });
    expect(table.get(1)?.identity).toBe("b");
  });

  it("tells new facts from a later lastSeenMs", () => {
    const heard: string[] = [];
    const table = new HostTable((change) => heard.push(change));

    table.announce(HOST);
    table.announce({ ...HOST, lastSeenMs: 2 });
    table.announce({ ...HOST, lastSeenMs: 3, zone: "z" });
    table.learn({ ...HOST, lastSeenMs: 3, zone: "z" });

    expect(heard).toEqual(["new", "seen", "new"]);
  });

  it("reads entries from a file, and nothing else", () => {
    const damaged = [
      null,
      7,
      {},
      { ...HOST, capacity: null },
      { ...HOST, number: "1" },
      { ...HOST, lastSeenMs: null },
      { ...HOST, labels: null },
    ];

    expect(parseHostEntries([...damaged, HOST])).toEqual([HOST]);
    expect(parseHostEntries({ hosts: [HOST] })).toEqual([]);
  });
});
