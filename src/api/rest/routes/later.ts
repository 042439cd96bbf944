import type { HttpMethod, Route } from "../requests/route.ts";

const VOLUMES = "/v1/apps/:app/volumes";
const KEYS = "/v1/apps/:app/secretkeys";
const CERTIFICATES = "/v1/apps/:app/certificates";

/** Routes of the Fly Machines API that are not built yet: methods, path, tag, purpose. */
const LATER: readonly (readonly [
  methods: readonly HttpMethod[],
  path: string,
  tag: string,
  summary: string,
])[] = [
  [["GET", "PUT"], "/v1/apps/:app/machines/:id/memory", "Machines", "The memory limit of a machine."],
  [["POST"], "/v1/apps/:app/machines/:id/memory/reclaim", "Machines", "Reclaims memory of a machine."],
  [["GET", "POST"], VOLUMES, "Volumes", "The volumes of an app."],
  [["GET", "PUT", "DELETE"], `${VOLUMES}/:volume`, "Volumes", "A volume."],
  [["PUT"], `${VOLUMES}/:volume/extend`, "Volumes", "Makes a volume larger."],
  [["GET", "POST"], `${VOLUMES}/:volume/snapshots`, "Volumes", "The snapshots of a volume."],
  [["GET"], "/v1/orgs/:org/volumes", "Volumes", "All volumes of an organisation."],
  [["GET", "POST"], "/v1/apps/:app/secrets", "Secrets", "The secrets of an app."],
  [["GET", "POST", "DELETE"], "/v1/apps/:app/secrets/:secret", "Secrets", "A secret."],
  [["GET"], KEYS, "Secrets", "The keys of an app."],
  [["GET", "POST", "DELETE"], `${KEYS}/:key`, "Secrets", "A key."],
  ...["generate", "encrypt", "decrypt", "sign", "verify"].map(
    (use) => [["POST"], `${KEYS}/:key/${use}`, "Secrets", `Uses a key: ${use}.`] as const,
  ),
  [["GET", "POST"], "/v1/apps/:app/ip_assignments", "Network", "The addresses of an app."],
  [["DELETE"], "/v1/apps/:app/ip_assignments/:ip", "Network", "Releases an address."],
  [["GET"], CERTIFICATES, "Network", "The certificates of an app."],
  [["POST"], `${CERTIFICATES}/acme`, "Network", "Requests a certificate."],
  [["POST"], `${CERTIFICATES}/custom`, "Network", "Adds a certificate."],
  [["GET", "DELETE"], `${CERTIFICATES}/:hostname`, "Network", "A certificate."],
  [["DELETE"], `${CERTIFICATES}/:hostname/acme`, "Network", "Removes a requested certificate."],
  [["DELETE"], `${CERTIFICATES}/:hostname/custom`, "Network", "Removes an added certificate."],
  [["POST"], `${CERTIFICATES}/:hostname/check`, "Network", "Checks a certificate."],
  [["POST"], "/v1/tokens/oidc", "Tokens", "An OpenID Connect token of a machine."],
  [["POST"], "/v1/tokens/kms", "Tokens", "A token for the keys of an app."],
  [["POST"], "/v1/tokens/authenticate", "Tokens", "Verifies a token."],
  [["POST"], "/v1/tokens/authorize", "Tokens", "Checks what a token allows."],
  [["POST"], "/v1/apps/:app/deploy_token", "Tokens", "Makes a token for one app."],
];

/** Routes that answer 501 to every caller with a token. */
export const laterRoutes: readonly Route[] = LATER.flatMap(([methods, path, tag, summary]) =>
  methods.map((method) => ({
    ...{ method, path, tag },
    summary: `${summary} Not built yet: 501.`,
    status: 501,
    handle: () => ({}),
  })),
);
