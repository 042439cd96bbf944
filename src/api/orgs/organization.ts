import { Fault } from "../../lib/faults/fault.ts";
import type { Limits } from "../shares/rates.ts";

/** Whether an organisation may create machines. */
export type Standing = "good" | "past_due" | "banned";

export interface Amount {
  readonly machines: number;
  readonly memoryMb: number;
  /** Root file systems of images, each once for a host; whole MB. */
  readonly imageMb: number;
}

/** Quota of an organisation created without one. */
export const DEFAULT_QUOTA: Amount = { machines: 100, memoryMb: 65_536, imageMb: 1_048_576 };

export interface Organization {
  readonly slug: string;
  readonly name: string;
  readonly standing: Standing;
  readonly quota: Amount;
  /** Its machines that are not destroyed. */
  readonly used: Amount;
  readonly createTimeMs: number;
  /** Null: none of its own. */
  readonly limits: Limits | null;
}

/**
 * Decides whether an organisation may create one more machine; undefined: it may. One that may not
 * create does not learn its quota. The size of the machine's image is not known yet, so the quota of
 * images is a soft bound: a create that begins below it is allowed.
 */
export function refusal(
  org: Pick<Organization, "slug" | "standing" | "quota" | "used">,
  memoryMb: number,
): Fault | undefined {
  const { slug, standing, quota, used } = org;
  const refused = standingRefusal(slug, standing);
  if (refused) return refused;
  if (used.machines + 1 > quota.machines)
    return over("QUOTA_MACHINES", slug, "machines", used.machines, quota.machines, 1);
  if (used.memoryMb + memoryMb > quota.memoryMb)
    return over("QUOTA_MEMORY", slug, "MB of memory", used.memoryMb, quota.memoryMb, memoryMb);
  if (used.imageMb >= quota.imageMb) return imagesUsedUp(slug, used.imageMb, quota.imageMb);
  return undefined;
}

/** The resources that an update adds to a machine. */
export interface Growth {
  /** May be negative. */
  readonly memoryMb: number;
  /** Whether the image is new to the machine's host. */
  readonly addsImage: boolean;
}

/** Decides whether an organisation may update a machine; undefined: it may. Only what grows is counted. */
export function updateRefusal(
  { slug, standing, quota, used }: Pick<Organization, "slug" | "standing" | "quota" | "used">,
  { memoryMb, addsImage }: Growth,
): Fault | undefined {
  const refused = standingRefusal(slug, standing);
  if (refused) return refused;
  if (memoryMb > 0 && used.memoryMb + memoryMb > quota.memoryMb)
    return over("QUOTA_MEMORY", slug, "MB of memory", used.memoryMb, quota.memoryMb, memoryMb);
  if (addsImage && used.imageMb >= quota.imageMb) return imagesUsedUp(slug, used.imageMb, quota.imageMb);
  return undefined;
}

function standingRefusal(slug: string, standing: Standing): Fault | undefined {
  if (standing === "banned") return banned(slug);
  if (standing === "good") return undefined;
  const message = `organisation ${slug} has open bills: it may start and stop what it has, not create or update; settle them and try again`;
  return new Fault("PERMISSION_DENIED", "ORG_PAST_DUE", message, { org: slug });
}

export function banned(slug: string): Fault {
  return new Fault("PERMISSION_DENIED", "ORG_BANNED", `organisation ${slug} is banned and may not create`, {
    org: slug,
  });
}

export function orgNotFound(slug: string): Fault {
  return new Fault("NOT_FOUND", "ORG_NOT_FOUND", `there is no organisation ${slug}`, { org: slug });
}

function imagesUsedUp(org: string, usedMb: number, limitMb: number): Fault {
  const message =
    `the images of organisation ${org}'s machines take ${usedMb} of ${limitMb} MB (image_mb), each counted once for each host; ` +
    "destroy machines whose images it no longer needs or have its quota raised";
  const facts = { org, used: String(usedMb), limit: String(limitMb) };
  return new Fault("RESOURCE_EXHAUSTED", "QUOTA_IMAGES", message, facts);
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
