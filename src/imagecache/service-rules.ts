import { ImageCacheServiceService } from "../gen/windhover/imagecache/v1/imagecache.ts";
import { type RpcRule, type RpcRules, rulesOf } from "../lib/auth/rpc-rules.ts";

const image = { kind: "image", object: "digest" } as const;

function reads(action: string, about: Partial<RpcRule> = {}): RpcRule {
  return { action, scopes: ["internal"], isAudited: false, needsGoodStanding: false, ...about };
}

function changes(action: string, about: Partial<RpcRule> = {}): RpcRule {
  return { ...reads(action, about), isAudited: true };
}

/** What each RPC of an image cache needs, does and is about. A method that is not here is refused. */
export const RULES: RpcRules = rulesOf(ImageCacheServiceService, {
  ensureImage: changes("images:ensure", image),
  getImage: reads("images:get", image),
  listImages: reads("images:list"),
  pinImage: changes("images:pin", image),
  unpinImage: changes("images:unpin", image),
  // Comes with every start of hostd and every minute, and repeats what pins say.
  reconcilePins: reads("images:reconcile"),
  removeImage: changes("images:remove", image),
});
