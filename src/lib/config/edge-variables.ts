import { integer, oneOf, type Values } from "./config.ts";

/** What bounds the callers of a gRPC port. */
export const edgeVariables = {
  GRPC_REFLECTION: oneOf(["token", "open", "off"])
    .prefault("token")
    .describe(
      "Who may read the contract by server reflection: whoever has a valid token, everybody, nobody.",
    ),
  GRPC_CONNECTIONS: integer(64, 1_000_000)
    .prefault(4_096)
    .describe(
      "Most connections to its gRPC port, those of services not counted. An eighth is for callers that have not shown a token yet.",
    ),
  GRPC_CONNECTIONS_PER_ADDRESS: integer(64, 1_000_000)
    .prefault(512)
    .describe(
      "The same for one address; the REST port, where each request under way takes one, has four times as many. Behind a proxy all clients have the same one.",
    ),
};

export type Edge = ReturnType<typeof readEdge>;

export function readEdge(values: Values<typeof edgeVariables>) {
  const total = values.GRPC_CONNECTIONS;
  const perAddress = values.GRPC_CONNECTIONS_PER_ADDRESS;
  return {
    reflection: values.GRPC_REFLECTION,
    connections: { total, perAddress, newTotal: total >> 3, newPerAddress: perAddress >> 3 },
  };
}
