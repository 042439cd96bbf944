import {
  RevocationsServiceClient,
  type WatchRevocationsResponse,
} from "../../gen/windhover/admin/v1/revocations.ts";
import { writeRevocations } from "../../lib/auth/revocation-file.ts";
import type { OrgRestriction, RevocationList, Revocations } from "../../lib/auth/revocations.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { connect, openStream } from "../../lib/grpc/client.ts";
import { backoffMs } from "../../lib/runtime/backoff.ts";
import { logger } from "../../lib/runtime/log.ts";
import { sleep } from "../../lib/runtime/wait.ts";

const RETRY = { firstMs: 200, maxMs: 2_000 };

/** What following the apis' lists needs. */
export interface FollowParts {
  /** One stream is open, to the first that answers. */
  readonly apis: readonly string[];
  readonly token: TokenSource;
  readonly revocations: Revocations;
  /** Where the list is kept for the next start, and for other services of the host. */
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Takes over lists from an api as they change, until `signal` aborts. */
export async function followRevocationsOfApis(parts: FollowParts): Promise<void> {
  const { apis, signal } = parts;
  for (let failures = 0; !signal.aborted && apis.length > 0; failures++) {
    const address = apis[failures % apis.length] ?? "";
    const client = connect(RevocationsServiceClient, address, { token: parts.token });
    try {
      let known: Promise<void> | undefined;
      for await (const list of listsOf(client, signal)) {
        failures = failures % apis.length;
        if (!parts.revocations.replace(list)) continue;
        await known;
        known = writeRevocations(parts.path, list).catch((error: unknown) => {
          logger.error("the list of revocations cannot be written", { path: parts.path, error });
        });
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.debug("an api does not tell what is revoked", { address, error });
    } finally {
      client.close();
    }
    await sleep(backoffMs(RETRY, Math.floor(failures / apis.length)), signal);
  }
}

async function* listsOf(
  client: RevocationsServiceClient,
  signal: AbortSignal,
): AsyncGenerator<RevocationList> {
  const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal };
  let parts: WatchRevocationsResponse[] = [];
  for await (const part of openStream(client, client.watchRevocations, {}, scope)) {
    if (parts[0]?.version !== part.version) parts = [];
    parts.push(part);
    if (part.more) continue;
    yield {
      version: Number(part.version),
      tokens: parts.flatMap(({ tokens }) => tokens),
      orgs: parts.flatMap(({ orgs }) => orgs.map(restrictionFromProto)),
    };
    parts = [];
  }
}

function restrictionFromProto({
  org,
  suspended,
  notBeforeTime,
}: WatchRevocationsResponse["orgs"][number]): OrgRestriction {
  return { org, isSuspended: suspended, notBeforeMs: notBeforeTime?.getTime() ?? 0 };
}
