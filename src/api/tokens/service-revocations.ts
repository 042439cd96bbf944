import { once } from "node:events";
import type {
  RevocationsServiceServer,
  WatchRevocationsResponse,
} from "../../gen/windhover/admin/v1/revocations.ts";
import type { RevocationList, Revocations } from "../../lib/auth/revocations.ts";
import { serverStream } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";

/** Some 100 KB. */
const MAX_PART = 2_000;

export function revocationsService(revocations: Revocations): RevocationsServiceServer {
  return {
    watchRevocations: serverStream(async function* (_req, ctx) {
      authorize(ctx, "internal");
      const changes = new EventTarget();
      using _listening = revocations.onChange(() => changes.dispatchEvent(new Event("change")));
      let sent: RevocationList | undefined;
      for (;;) {
        if (revocations.list === sent) await once(changes, "change", { signal: ctx.signal });
        sent = revocations.list;
        yield* partsOf(sent);
      }
    }),
  };
}

function* partsOf({ version, tokens, orgs }: RevocationList): Generator<WatchRevocationsResponse> {
  let [token, org] = [0, 0];
  do {
    const part = tokens.slice(token, token + MAX_PART);
    token += part.length;
    const some = orgs.slice(org, org + MAX_PART - part.length);
    org += some.length;
    yield {
      version: BigInt(version),
      tokens: [...part],
      orgs: some.map((each) => ({
        org: each.org,
        suspended: each.isSuspended,
        notBeforeTime: timeToProto(each.notBeforeMs),
      })),
      more: token < tokens.length || org < orgs.length,
    };
  } while (token < tokens.length || org < orgs.length);
}
