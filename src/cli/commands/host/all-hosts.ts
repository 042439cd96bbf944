import { type Host, HostsServiceClient } from "../../../gen/windhover/admin/v1/hosts.ts";
import { pages, READ_TIMEOUT_MS, type Session } from "../../session/session.ts";

/** Lists hosts, page by page. @param region undefined: of all */
export async function allHosts(
  session: Session,
  region = "",
  timeoutMs = READ_TIMEOUT_MS,
): Promise<readonly Host[]> {
  const client = await session.client(HostsServiceClient);
  const hosts: Host[] = [];
  const read = async (page: { readonly pageSize: number; readonly pageToken: string }) => {
    const answer = await session.call(client, client.listHosts, { region, ...page }, { timeoutMs });
    return { hosts: answer.hosts, nextPageToken: answer.nextPageToken ?? "" };
  };
  for await (const page of pages(read)) hosts.push(...page.hosts);
  return hosts;
}
