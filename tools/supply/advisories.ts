import semver from "semver";
import * as z from "zod";

/** A known weakness of versions of a package. */
export interface Advisory {
  readonly id: string;
  readonly package: string;
  /** Versions that have it, as npm writes ranges. */
  readonly range: string;
  readonly severity: string;
  readonly title: string;
  readonly url: string;
}

/** Name and version of each package of a lockfile. */
export type Locked = ReadonlyMap<string, ReadonlySet<string>>;

/** What a source knew of the packages that it was asked about. */
export interface Answer {
  /** For people: which registry, or which folder. */
  readonly source: string;
  /** When it was asked, or the newest of its advisories, ISO 8601. */
  readonly date: string;
  /** `name@version` of all that was asked about. */
  readonly asked: readonly string[];
  readonly advisories: readonly Advisory[];
}

/** A locked package that an advisory names. */
export interface Finding {
  readonly package: string;
  readonly version: string;
  readonly advisory: Advisory;
}

const advisory = z.object({
  id: z.string(),
  package: z.string(),
  range: z.string(),
  severity: z.string(),
  title: z.string(),
  url: z.string(),
});
const answer = z.object({
  source: z.string(),
  date: z.iso.datetime(),
  asked: z.array(z.string()),
  advisories: z.array(advisory),
});

/** Parses a kept answer. Throws when it is none. */
export function parseAnswer(text: string): Answer {
  return answer.parse(JSON.parse(text));
}

/** Reads the packages of a lockfile of npm (versions 2 and 3), its links and the project itself excepted. */
export function parseLockfile(text: string): Locked {
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { name?: string; version?: string; link?: boolean }>;
  };
  const locked = new Map<string, Set<string>>();
  for (const [path, { name = path.split("node_modules/").at(-1) ?? "", version, link }] of Object.entries(
    packages,
  )) {
    if (path === "" || link || version === undefined) continue;
    locked.set(name, (locked.get(name) ?? new Set()).add(version));
  }
  return locked;
}

export function namesOf(locked: Locked): string[] {
  return [...locked]
    .flatMap(([name, versions]) => [...versions].map((version) => `${name}@${version}`))
    .sort();
}

/** Finds what is locked and known to be weak, and what the answer says nothing about. */
export function judge(
  locked: Locked,
  { asked, advisories }: Answer,
): { readonly findings: readonly Finding[]; readonly unasked: readonly string[] } {
  const findings = advisories.flatMap((each) =>
    [...(locked.get(each.package) ?? [])]
      .filter((version) => semver.satisfies(version, each.range, { includePrerelease: true }))
      .map((version) => ({ package: each.package, version, advisory: each })),
  );
  const known = new Set(asked);
  return { findings, unasked: namesOf(locked).filter((name) => !known.has(name)) };
}

const audit = z.object({
  vulnerabilities: z.record(
    z.string(),
    z.object({
      via: z.array(
        z.union([
          z.string(),
          z.object({
            source: z.union([z.number(), z.string()]),
            name: z.string(),
            title: z.string().default(""),
            url: z.string().default(""),
            severity: z.string().default("unknown"),
            range: z.string(),
          }),
        ]),
      ),
    }),
  ),
});

/** Reads what `npm audit --json` prints. Throws when the registry has not answered. */
export function fromNpmAudit(text: string): readonly Advisory[] {
  const { vulnerabilities } = audit.parse(JSON.parse(text));
  // A package that only depends on a weak one names that as text.
  const direct = Object.values(vulnerabilities).flatMap(({ via }) =>
    via.filter((each) => typeof each !== "string"),
  );
  const advisories = direct.map(({ source, name, range, severity, title, url }) => ({
    ...{ id: url.split("/").at(-1) || String(source), package: name, range, severity, title, url },
  }));
  return [...new Map(advisories.map((each) => [`${each.id} ${each.package} ${each.range}`, each])).values()];
}

const osv = z.object({
  id: z.string(),
  modified: z.string(),
  withdrawn: z.string().optional(),
  summary: z.string().default(""),
  database_specific: z.object({ severity: z.string().optional() }).optional(),
  affected: z
    .array(
      z.object({
        package: z.object({ ecosystem: z.string(), name: z.string() }),
        versions: z.array(z.string()).default([]),
        ranges: z
          .array(
            z.object({
              type: z.string(),
              events: z.array(
                z.object({
                  introduced: z.string().optional(),
                  fixed: z.string().optional(),
                  last_affected: z.string().optional(),
                }),
              ),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
});

/** Reads an advisory in the format of OSV; none for other ecosystems and withdrawn ones. */
export function fromOsv(text: string): {
  readonly modified: string;
  readonly advisories: readonly Advisory[];
} {
  const { id, modified, withdrawn, summary, database_specific: more, affected } = osv.parse(JSON.parse(text));
  const advisories = affected.flatMap(({ package: { ecosystem, name }, versions, ranges }) => {
    if (ecosystem !== "npm" || withdrawn !== undefined) return [];
    const parts = [
      ...versions,
      ...ranges.filter(({ type }) => type === "SEMVER").map(({ events }) => rangeOf(events)),
    ];
    const range = parts.filter((part) => part !== "").join(" || ");
    if (range === "") return [];
    const severity = more?.severity?.toLowerCase() ?? "unknown";
    return [
      { id, package: name, range, severity, title: summary, url: `https://osv.dev/vulnerability/${id}` },
    ];
  });
  return { modified, advisories };
}

interface OsvEvent {
  readonly introduced?: string | undefined;
  readonly fixed?: string | undefined;
  readonly last_affected?: string | undefined;
}

/** Makes a range of events, which come in any order: in that of versions each `introduced` begins a part. */
function rangeOf(events: readonly OsvEvent[]): string {
  const parts: string[] = [];
  for (const { introduced, fixed, last_affected: last } of events.toSorted(byVersion)) {
    if (introduced !== undefined) parts.push(`>=${introduced === "0" ? "0.0.0-0" : introduced}`);
    const at = parts.length - 1;
    if (at >= 0 && fixed !== undefined) parts[at] += ` <${fixed}`;
    if (at >= 0 && last !== undefined) parts[at] += ` <=${last}`;
  }
  return parts.join(" || ");
}

/** Of one version, `fixed` ends a part before the next begins, and `last_affected` ends one that begins with it. */
function byVersion(a: OsvEvent, b: OsvEvent): number {
  const order = semver.compare(versionOf(a), versionOf(b));
  return order !== 0 ? order : rankOf(a) - rankOf(b);
}

function versionOf({ introduced, fixed, last_affected: last }: OsvEvent): semver.SemVer {
  const text = introduced ?? fixed ?? last ?? "0";
  const version = text === "0" ? null : (semver.parse(text) ?? semver.coerce(text));
  return version ?? new semver.SemVer("0.0.0-0");
}

function rankOf({ introduced, fixed }: OsvEvent): number {
  if (fixed !== undefined) return 0;
  return introduced === undefined ? 2 : 1;
}
