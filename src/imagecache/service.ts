import { Image } from "../gen/windhover/imagecache/v1/image.ts";
import type { ImageCacheServiceServer } from "../gen/windhover/imagecache/v1/imagecache.ts";
import { requireScope } from "../lib/auth/claims.ts";
import { MAX_LIST_BYTES, takeBytes } from "../lib/grpc/messages/batches.ts";
import { serverStream, unary } from "../lib/grpc/server/rpc.ts";
import {
  digestFromProto,
  ensureRequestFromProto,
  imageToProto,
  pageFromProto,
  pinFromProto,
  reconcileFromProto,
  stepToProto,
} from "./convert.ts";
import type { DiskBudget } from "./disk/disk-budget.ts";
import type { ImageView } from "./disk/image.ts";
import type { Images } from "./images.ts";
import { countRequest } from "./metrics.ts";

export function imageCacheService(images: Images, budget: DiskBudget): ImageCacheServiceServer {
  return {
    ensureImage: serverStream(async function* (req, ctx) {
      requireScope(ctx, "internal");
      const steps = images.ensure(ensureRequestFromProto(req), ctx.signal);
      for await (const step of countRequest(steps, ctx.signal)) yield stepToProto(step);
    }),
    getImage: unary((req, ctx) => {
      requireScope(ctx, "internal");
      return { image: imageToProto(images.get(digestFromProto(req))) };
    }),
    listImages: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { after, limit } = pageFromProto(req);
      // One more tells whether there is another page.
      const found = images.list(after, limit + 1);
      const shown = toProto(found.slice(0, limit));
      const page = takeBytes(shown, MAX_LIST_BYTES, (image) => Image.encode(image).finish().length);
      return {
        images: page,
        nextPageToken: found.length > page.length ? (page.at(-1)?.digest ?? "") : "",
        usedBytes: BigInt(await budget.usedBytes()),
        budgetBytes: BigInt(budget.budgetBytes),
      };
    }),
    pinImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { image: imageToProto(await images.pin(pinFromProto(req))) };
    }),
    unpinImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      await images.unpin(pinFromProto(req));
      return {};
    }),
    reconcilePins: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { pins, range } = reconcileFromProto(req);
      const { added, dropped, missing } = await images.reconcile(pins, range);
      return { added, dropped, missingDigests: missing };
    }),
    removeImage: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      return { freedBytes: BigInt(await images.remove(digestFromProto(req))) };
    }),
  };
}

/** Converts one by one: no more than fit into a page. */
function* toProto(images: readonly ImageView[]): Generator<Image> {
  for (const image of images) yield imageToProto(image);
}
