import { Fault } from "../../../lib/faults/fault.ts";

/** Checks that a path names the caller's organisation. @throws Fault ORG_NOT_FOUND for every other one */
export function requireOwnOrg({ org }: { readonly org: string }, slug: string): void {
  if (slug !== org)
    throw new Fault("NOT_FOUND", "ORG_NOT_FOUND", `there is no organisation ${slug}`, { org: slug });
}
