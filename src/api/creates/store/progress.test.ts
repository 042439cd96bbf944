import { describe, expect, it } from "vitest";
import { Progress } from "./progress.ts";

describe("progress", () => {
  const lines = async (progress: Progress) => {
    const seen: string[] = [];
    for await (const step of progress.follow(new AbortController().signal)) {
      seen.push(`${step.step} ${step.status} ${step.bytesDone}`);
    }
    return seen;
  };

  it("is the same from the beginning and afterwards, but for what has been overtaken", async () => {
    const progress = new Progress(() => 1);
    const live = lines(progress);
    progress.begin("a");
    progress.end("a", "done");
    progress.begin("b");
    progress.advance("b", { detail: "", bytesDone: 1, bytesTotal: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    progress.advance("b", { detail: "", bytesDone: 2, bytesTotal: 2 });
    progress.end("b", "failed");
    progress.close();

    expect(await live).toEqual(["a running 0", "a done 0", "b running 1", "b running 2", "b failed 0"]);
    expect(await lines(progress)).toEqual(["a running 0", "a done 0", "b running 2", "b failed 0"]);
  });

  it("goes on after a crash where it was", () => {
    const progress = new Progress(
      () => 1,
      [{ sequence: 1, step: "a", status: "running", detail: "", bytesDone: 0, bytesTotal: 0, timeMs: 0 }],
    );

    expect(progress.begin("a").sequence).toBe(1);
    expect(progress.end("a", "done").sequence).toBe(2);
    expect(progress.begin("b").sequence).toBe(3);
  });

  it("is left by a watcher who goes", async () => {
    const gone = new AbortController();
    const following = new Progress(() => 1).follow(gone.signal).next();

    gone.abort();

    expect((await following).done).toBe(true);
  });
});
