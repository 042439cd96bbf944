/** A variable of help and reference. Plain data, since a schema library takes long to load. */
interface Variable {
  /** What it takes. */
  readonly kind: string;
  readonly default?: string;
  readonly isSecret?: boolean;
  readonly description: string;
}

/** Everything that `hover` reads from its environment. */
export const variables = {
  WINDHOVER_API: {
    kind: "host:port",
    default: "the local fleet's, else 127.0.0.1:7070",
    description: "Address of the API.",
  },
  WINDHOVER_TOKEN: {
    kind: "token",
    default: "the file `token` in WINDHOVER_DIR",
    isSecret: true,
    description: "The token itself.",
  },
  WINDHOVER_APP: { kind: "name", description: "App to use when -a is not given." },
  WINDHOVER_DIR: {
    kind: "folder",
    default: ".windhover in the project",
    description: "Folder of the local fleet.",
  },
  WINDHOVER_GUEST_DIR: {
    kind: "folder",
    default: "guest in WINDHOVER_DIR",
    description: "Folder of the guest's kernel and init; `hover doctor` looks there.",
  },
  WINDHOVER_TRACES: {
    kind: "host:port",
    default: "the local fleet's, else 127.0.0.1:4318",
    description: "Address of the trace receiver.",
  },
  WINDHOVER_CONSOLE: {
    kind: "host:port or URL",
    default: "the local fleet's, else 127.0.0.1:7090",
    description: "Address of the web console; `hover latency` asks it.",
  },
  WINDHOVER_REGISTRY: {
    kind: "host:port",
    default: "the local fleet's, else 127.0.0.1:5000",
    description: "Address of the local registry; `hover doctor` looks there.",
  },
  WINDHOVER_REST_URL: {
    kind: "host:port or URL",
    default: "the local fleet's, else 127.0.0.1:7080",
    description: "Address of the REST API; `hover api` calls it.",
  },
  DOCKER_CONFIG: {
    kind: "folder",
    default: "~/.docker",
    description: "Folder of Docker's configuration, for `hover registry login --from-docker-config`.",
  },
  NO_COLOR: { kind: "any text", description: "No colours." },
  FORCE_COLOR: { kind: "any text, or 0", description: "Colours even where output is no terminal; 0: none." },
  HOVER_DEBUG: { kind: "any text", description: "Says why the compile cache is off, when it is." },
} as const satisfies Readonly<Record<string, Variable>>;

/** The variables of the help, one a line. */
export function variableHelp(): string {
  return Object.entries<Variable>(variables)
    .map(([name, { description, ...variable }]) => {
      const fallback = variable.default === undefined ? "" : ` (default: ${variable.default})`;
      return `  ${name.padEnd(20)}${description.replace(/\.$/, "")}${fallback}`;
    })
    .join("\n")
    .replaceAll("`", "");
}
