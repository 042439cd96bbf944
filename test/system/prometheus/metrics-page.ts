import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../tools/lib/paths.ts";

/** A row of the tables of `docs/metrics.md`. */
export interface Documented {
  /** The heading it stands under. */
  readonly service: string;
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly labels: readonly string[];
  readonly meaning: string;
}

const page = readFileSync(join(ROOT, "docs/metrics.md"), "utf8");
/** `| name | type | unit | labels | meaning |` */
const ROW = /^\| `([a-z0-9_]+)` \| (\w+) \| (\w*) ?\| ((?:`\w+`(?:, )?)*) ?\| (.+) \|$/;

/** Every metric that `docs/metrics.md` tells of. */
export function documentedMetrics(): readonly Documented[] {
  let service = "";
  return page.split("\n").flatMap((line) => {
    service = /^## (.+)$/.exec(line)?.[1] ?? service;
    const [, name, type, unit, labels, meaning] = ROW.exec(line) ?? [];
    if (name === undefined || type === undefined || meaning === undefined) return [];
    const names = [...(labels ?? "").matchAll(/\w+/g)].map(([label]) => label);
    return [{ service, name, type, unit: unit ?? "", labels: names, meaning }];
  });
}

/** The blocks of code of one language. */
export function codeBlocks(language: string): readonly string[] {
  const block = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms");
  return [...page.matchAll(block)].map(([, code]) => code ?? "");
}

/** A proxy serves no calls, so that nobody is to be kept out of them or noted in the audit log. */
const OF_SERVERS = /^(?:rpc_server_connections|windhover_audit)_/;

/** What a service has, by the page. */
export function documentedFor(service: string): readonly Documented[] {
  return documentedMetrics().filter(
    (each) =>
      each.service === service ||
      (each.service === "every service" && !(service === "proxy" && OF_SERVERS.test(each.name))),
  );
}

/** The series by which a metric is found. */
export function seriesName(name: string, type: string): string {
  return type === "histogram" ? `${name}_count` : name;
}
