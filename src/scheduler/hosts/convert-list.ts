import * as pb from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { MAX_LIST_BYTES, takeBytes } from "../../lib/grpc/messages/batches.ts";
import type { AttachedHost } from "./attached-host.ts";
import { hostToProto, RequestViolations } from "./convert.ts";

/**
 * Makes a page of the list of hosts, by number.
 *
 * @param backoffEndOf when awards to a host begin again; undefined when there is no backoff
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS`
 */
export function hostPageToProto(
  hosts: readonly AttachedHost[],
  { pageSize, pageToken }: pb.ListHostsRequest,
  backoffEndOf: (number: number) => Date | undefined,
): pb.ListHostsResponse {
  const violations = new RequestViolations();
  violations.check(pageSize >= 0, "page_size", "must not be negative");
  const isToken = /^\d{0,7}$/.test(pageToken);
  violations.check(isToken, "page_token", "must be the next_page_token of a page");
  violations.throwIfAny();
  const after = pageToken === "" ? -1 : Number(pageToken);
  const left = hosts
    .filter(({ info }) => info.number > after)
    .toSorted((a, b) => a.info.number - b.info.number);
  const wanted = left.slice(0, pageSize || undefined);
  // Converted one by one: at most a page of them.
  const converted = (function* () {
    for (const host of wanted) yield hostToProto(host, backoffEndOf(host.info.number));
  })();
  const page = takeBytes(converted, MAX_LIST_BYTES, (host) => pb.AttachedHost.encode(host).finish().length);
  const last = page.length < left.length ? left[page.length - 1] : undefined;
  return { hosts: page, nextPageToken: last === undefined ? "" : String(last.info.number) };
}
