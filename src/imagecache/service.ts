import type { ImageCacheServiceServer } from "../gen/windhover/imagecache/v1/imagecache.ts";
import { requireScope } from "../lib/auth/auth.ts";
import { serverStream, unary } from "../lib/grpc/rpc.ts";
import { fromImage, fromStep, toDigest, toOrder, toPage, toPin, toPins } from "./convert.ts";
import type { Images } from "./images.ts";
import { countRequest } from "./metrics.ts";

/** How much of the disk the cache takes and may take. */
export interface Usage {
  readonly budgetBytes: number;
  usedBytes(): Promise<number>;
}

/** Puts {@link Images} on the wire: checks and converts, and decides nothing else. */
export function imageCacheService(images: Images, usage: Usage): ImageCacheServiceServer {
  return {
    ensureImage: serverStream(async function* (req, ctx) {
      requireScope(ctx, "internal");
      const steps = images.ensure(toOrder(req), ctx.signal);
      for await (const step of countRequest(steps, ctx.signal)) yield fromStep(step);
    }),
    getImage: unary((req, ctx) => {
      requireScope(ctx, "internal");
      return { image: fromImage(images.get(toDigest(req))) };
    }),
    listImages: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { after, limit } = toPage(req);
      // One more than asked for tells whether there is another page.
      const found = images.list(after, limit + 1);
      const page = found.slice(0, limit);
      return {
        images: page.map(fromImage),
        nextPageToken: found.length > limit ? (page.at(-1)?.digest ?? "") : "",
        usedBytes: BigInt(await usage.usedBytes()),
        budgetBytes: BigInt(usage.budgetBytes),
      };
    }),
    pinImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { digest, owner } = toPin(req);
      return { image: fromImage(await images.pin(digest, owner)) };
    }),
    unpinImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { digest, owner } = toPin(req);
      await images.unpin(digest, owner);
      return {};
    }),
    reconcilePins: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { added, dropped, missing } = await images.reconcile(toPins(req.pins));
      return { added, dropped, missingDigests: missing };
    }),
    removeImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { freedBytes: BigInt(await images.remove(toDigest(req))) };
    }),
  };
}
