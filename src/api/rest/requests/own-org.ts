import { Fault } from "../../../lib/faults/fault.ts";

/** @throws Fault ORG_NOT_FOUND for somebody else's, as for one that is not there */
export function requireOwnOrg({ org }: { readonly org: string }, slug: string): void {
  if (slug !== org)
    throw new Fault("NOT_FOUND", "ORG_NOT_FOUND", `there is no organisation ${slug}`, { org: slug });
}
