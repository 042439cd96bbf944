import { describe, expect, test } from "vitest";
import { readTar } from "../../../test/support/imagecache/read-tar.ts";
import { writeTar } from "../../../test/support/oci/index.ts";

describe("a sparse file", () => {
  const chunks = Array.from({ length: 30 }, (_, i) => ({
    offset: 2048 * i + 512,
    data: Buffer.alloc(700, 65 + i),
  }));
  const whole = Buffer.alloc(100_000);
  for (const { offset, data } of chunks) data.copy(whole, offset);

  test.each(["gnu-old", "pax-0.0", "pax-0.1", "pax-1.0"] as const)(
    "of the dialect %s is put together",
    (format) => {
      const tar = writeTar([
        { path: "s", sparse: { format, size: 100_000, chunks } },
        { path: "next", content: "n" },
      ]);

      for (const piece of [tar.length, 512, 1000]) {
        const [sparse, next] = readTar(tar, piece);
        expect(sparse).toMatchObject({ path: "s", size: 100_000 });
        expect(sparse?.content.equals(whole)).toBe(true);
        expect(next?.content.toString()).toBe("n");
      }
    },
  );

  test("may be nothing but a hole", () => {
    const [sparse, next] = readTar(
      writeTar([{ path: "s", sparse: { format: "pax-1.0", size: 5000, chunks: [] } }, { path: "n" }]),
    );

    expect(sparse?.content.equals(Buffer.alloc(5000))).toBe(true);
    expect(next?.path).toBe("n");
  });

  test("is refused when its map is out of order or reaches beyond its end", () => {
    const data = Buffer.alloc(512);
    const wrong = [
      [
        { offset: 2048, data },
        { offset: 0, data },
      ],
      [{ offset: 4096, data }],
    ];
    for (const chunks of wrong) {
      const tar = writeTar([{ path: "s", sparse: { format: "pax-0.1", size: 4096, chunks } }]);
      expect(() => readTar(tar)).toThrow(expect.objectContaining({ reason: "LAYER_CORRUPT" }));
    }
  });

  test("is refused when it has more fragments than memory should hold", () => {
    const chunks = Array.from({ length: 100_001 }, (_, offset) => ({ offset, data: Buffer.alloc(0) }));
    const tar = writeTar([{ path: "s", sparse: { format: "gnu-old", size: 200_000, chunks } }]);
    expect(() => readTar(tar)).toThrow(
      expect.objectContaining({
        reason: "LAYER_TOO_LARGE",
        facts: { limit: expect.stringContaining("100000 fragments"), value: expect.any(String) },
      }),
    );
  });
});
