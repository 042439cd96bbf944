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
  /** Each has a stream: one that has lost Postgres does not know what the others do. */
  readonly apis: readonly string[];
  readonly token: TokenSource;
  readonly revocations: Revocations;
  /** Where the list is kept for the next start, and for other services of the host. */
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Takes over lists from all apis as they change, until `signal` aborts. */
export async function followRevocationsOfApis(parts: FollowParts): Promise<void> {
  const { revocations, path } = parts;
  let written: Promise<void> = Promise.resolve();
  const take = (list: RevocationList) => {
    if (!revocations.replace(list)) return;
    written = written.then(async () => {
      try {
        await writeRevocations(path, revocations.list);
      } catch (error) {
        logger.error("the list of revocations cannot be written", { path, error });
      }
    });
  };
  await Promise.all(parts.apis.map((address) => follow(address, parts, take)));
  await written;
}

async function follow(
  address: string,
  { token, signal }: FollowParts,
  take: (list: RevocationList) => void,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    const client = connect(RevocationsServiceClient, address, { token });
    try {
      for await (const list of listsOf(client, signal)) {
        failures = 0;
        take(list);
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.debug("an api does not tell what is revoked", { address, error });
    } finally {
      client.close();
    }
    await sleep(backoffMs(RETRY, failures), signal);
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
