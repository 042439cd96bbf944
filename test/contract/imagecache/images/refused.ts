import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { DEFAULT_LIMITS } from "../../../../src/imagecache/flatten/limits.ts";
import type { Fault } from "../../../../src/lib/faults/fault.ts";
import {
  type BuiltImage,
  buildImage,
  FakeRegistry,
  type ImageSpec,
  type TarEntry,
} from "../../../support/oci/index.ts";
import { startImageCache, type TestImageCache } from "../fixture.ts";

/** An image cache with low limits, and a registry of images that it must refuse. */
export class RefusingCache {
  readonly registry: FakeRegistry;
  readonly cache: TestImageCache;

  private constructor(registry: FakeRegistry, cache: TestImageCache) {
    this.registry = registry;
    this.cache = cache;
  }

  static async start(): Promise<RefusingCache> {
    const low = { maxBytes: 30_000_000, maxEntries: 5_000, maxAttributeBytes: 10_000_000 };
    const cache = await startImageCache({ limits: { ...DEFAULT_LIMITS, ...low } });
    return new RefusingCache(await FakeRegistry.start(), cache);
  }

  /** Pulls an image, expects a fault, and that nothing but layers is left behind. */
  async refused(name: string, image: BuiltImage): Promise<Fault> {
    this.registry.add(name, "latest", image);
    return this.refusedReference(`${this.registry.host}/${name}:latest`, image.digest);
  }

  async refusedReference(reference: string, digest: string): Promise<Fault> {
    const fault: Fault = await this.cache.ensure(reference, digest, "m1").then(
      () => expect.fail("the image was accepted"),
      (err) => err,
    );
    expect(fault.facts["reference"]).toContain(reference);
    expect(fault.message).toContain(reference);
    for (const place of ["rootfs", "tmp", "pins"]) {
      expect(readdirSync(join(this.cache.dir, place))).toEqual([]);
    }
    return fault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cache[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}

/** An image of two layers, the upper one with these entries. */
export function twoLayers(entries: TarEntry[], spec: Partial<ImageSpec> = {}): BuiltImage {
  return buildImage({ layers: [[{ path: "ok" }], entries], ...spec });
}
