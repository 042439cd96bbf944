/** Forbids imports. Globs of paths from the project, or names of packages; `!` excludes. */
export interface Rule {
  readonly says: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

const SERVICES = ["api", "scheduler", "hostd", "imagecache", "proxy", "cli", "traces", "console"];
const TESTS = ["!test/**", "!**/*.test.ts", "!**/*.fixture.ts"];

export const RULES: readonly Rule[] = [
  ...SERVICES.map((service) => ({
    says: "services never import each other; they meet in proto.",
    from: [`src/${service}/**`],
    to: ["src/**", `!src/{lib,gen,${service}}/**`],
  })),
  {
    says: "src/lib knows no service.",
    from: ["src/lib/**"],
    to: [`src/{${SERVICES.join()}}/**`],
  },
  {
    says: "only src/lib/oci knows images.",
    from: ["src/lib/**", "!src/lib/oci/**"],
    to: ["src/lib/oci/**"],
  },
  {
    says: "SQL stays in src/lib/stores and *-store.ts.",
    from: ["src/**", "!src/lib/stores/**", "!**/*-store.ts", ...TESTS],
    to: ["pg"],
  },
  {
    says: "what decides is pure: it leaves wire, stores, spans and files to others.",
    from: [
      "src/scheduler/{auctions,hosts,reservations}/**",
      "src/imagecache/{tar,flatten}/**",
      "src/console/{columns,counts,parameters,queries,statistics}/**",
      ...["!**/{service,convert,redis}*.ts", ...TESTS],
    ],
    to: [
      ...["@grpc/**", "pg", "ioredis", "@opentelemetry/**", "src/gen/**", "src/lib/{grpc,stores,otel}/**"],
      ...["node:fs", "node:fs/*", "node:net", "node:http", "node:child_process", "node:sqlite"],
    ],
  },
  {
    says: "bench/ and dev/ use services through their index.ts.",
    from: ["{bench,dev}/**", "!**/*.test.ts"],
    to: [`src/{${SERVICES.join()}}/**`, "!src/*/index.ts"],
  },
  {
    says: "the console's page runs in a browser: of the rest it knows the shape of answers alone.",
    from: ["src/console/web/**"],
    to: [
      ...["src/**", "node:*", "node:*/*", "!src/console/web/**"],
      ...["!src/console/answers/**", "!src/lib/latency/{answers,operation}.ts"],
    ],
  },
  {
    says: "the client is a package of its own.",
    from: ["clients/*/src/**"],
    to: ["{src,otel,dev,tools,guest,bench,test}/**"],
  },
  {
    says: "nobody but tests uses the client.",
    from: ["{src,otel,dev,tools,guest,bench}/**"],
    to: ["clients/**"],
  },
  {
    says: "production code imports no tests and no fixtures.",
    from: ["{src,otel,dev,tools,guest}/**", ...TESTS],
    to: ["test/**", "**/*.fixture.ts", "**/*.test.ts"],
  },
  {
    // `hover` shows what the API answers: it has no types of its own.
    says: "wire types stay in src/lib/grpc, service*.ts, convert*.ts, *-client.ts and wiring*.ts.",
    from: [
      ...["src/**", "!src/cli/**", "!src/lib/grpc/**", "!**/{service,convert,wiring}*.ts", "!**/*-client.ts"],
      ...["!src/*/main.ts", ...SERVICES.map((service) => `!src/${service}/${service}.ts`)],
      ...TESTS,
    ],
    to: ["src/gen/**"],
  },
];
