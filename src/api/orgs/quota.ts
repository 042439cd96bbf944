import { Fault } from "../../lib/runtime/fault.ts";

/** Whether an organisation may create machines. */
export type Standing = "good" | "past_due" | "banned";

/** How much an organisation may have, or has. */
export interface Amount {
  readonly machines: number;
  readonly memoryMb: number;
}

/** What an organisation gets when nobody says otherwise. */
export const DEFAULT_QUOTA: Amount = { machines: 100, memoryMb: 65_536 };

/** An organisation. */
export interface Organization {
  readonly slug: string;
  readonly name: string;
  readonly standing: Standing;
  readonly quota: Amount;
  /** Machines it has, destroyed ones not counted, and their memory. */
  readonly used: Amount;
  /** Milliseconds since the epoch. */
  readonly createTimeMs: number;
}

/**
 * Decides whether an organisation may have one more machine of this memory: undefined for yes, else the reason why not. Standing comes
 * first: it is not for an organisation that may not create to learn its quota.
 */
export function refusal(
  org: Pick<Organization, "slug" | "standing" | "quota" | "used">,
  memoryMb: number,
): Fault | undefined {
  if (org.standing === "banned") return banned(org.slug);
  if (org.standing === "past_due") {
    return new Fault(
      "PERMISSION_DENIED",
      "ORG_PAST_DUE",
      `organisation ${org.slug} has open bills: it may start and stop what it has, not create; settle them and try again`,
      { org: org.slug },
    );
  }
  if (org.used.machines + 1 > org.quota.machines) {
    return over("QUOTA_MACHINES", org.slug, "machines", org.used.machines, org.quota.machines, 1);
  }
  if (org.used.memoryMb + memoryMb > org.quota.memoryMb) {
    return over("QUOTA_MEMORY", org.slug, "MB of memory", org.used.memoryMb, org.quota.memoryMb, memoryMb);
  }
  return undefined;
}

/** The fault of an organisation that may do nothing new. */
export function banned(slug: string): Fault {
  return new Fault("PERMISSION_DENIED", "ORG_BANNED", `organisation ${slug} is banned and may not create`, {
    org: slug,
  });
}

function over(reason: string, org: string, what: string, used: number, limit: number, asked: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    reason,
    `organisation ${org} uses ${used} of ${limit} ${what}, and ${asked} more ${asked === 1 ? "was" : "were"} asked for; ` +
      "destroy machines it no longer needs or have its quota raised",
    { org, used: String(used), limit: String(limit), asked: String(asked) },
  );
}
