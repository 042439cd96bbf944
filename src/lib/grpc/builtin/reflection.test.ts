import { readFileSync } from "node:fs";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionClient as V1Client,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionClient as AlphaClient } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { openDuplex } from "../calls/duplex.ts";
import { connect } from "../client.ts";
import { createServer, type Running, serve } from "../server/serve.ts";
import { Descriptors } from "./descriptors.ts";
import { addReflection } from "./reflection.ts";

type Ask = ServerReflectionRequest["messageRequest"];

const generated = readFileSync(new URL("../../../gen/descriptors.binpb", import.meta.url));

test.each(["v1", "v1alpha"])("%s lists the services, itself included", async (version) => {
  const { value } = await ask({ $case: "listServices", value: "" }, version);

  expect(value).toEqual({
    service: [
      { name: "grpc.health.v1.Health" },
      { name: "grpc.reflection.v1.ServerReflection" },
      { name: "grpc.reflection.v1alpha.ServerReflection" },
    ],
  });
});

test("a symbol's file comes with everything it imports, byte for byte as the compiler wrote it", async () => {
  const answer = await ask({ $case: "fileContainingSymbol", value: "google.rpc.Status" });

  if (answer.$case !== "fileDescriptorResponse") throw new Error(`got ${answer.$case}`);
  const files = answer.value.fileDescriptorProto;
  expect(files).toHaveLength(2);
  for (const file of files) expect(generated.includes(file)).toBe(true);
  expect(files[0]?.includes("google/rpc/status.proto")).toBe(true);
  expect(files[1]?.includes("google/protobuf/any.proto")).toBe(true);
});

test.each([
  "grpc.health.v1.Health",
  "grpc.health.v1.Health.Check",
  "grpc.health.v1.HealthCheckResponse",
  "grpc.health.v1.HealthCheckResponse.status",
  "grpc.health.v1.HealthCheckResponse.ServingStatus",
  "grpc.health.v1.HealthCheckResponse.SERVING",
])("the symbol %s is found", (symbol) => {
  const [file] = new Descriptors(generated).bySymbol(symbol) ?? [];

  expect(file?.name).toBe("grpc/health/v1/health.proto");
});

test.each<Ask>([
  { $case: "fileByFilename", value: "nowhere.proto" },
  { $case: "fileContainingSymbol", value: "no.Such" },
  { $case: "fileContainingExtension", value: { containingType: "no.Such", extensionNumber: 1 } },
  { $case: "allExtensionNumbersOfType", value: "no.Such" },
])("what is not there is NOT_FOUND within the stream (%o)", async (request) => {
  const answer = await ask(request);

  expect(answer).toMatchObject({ $case: "errorResponse", value: { errorCode: 5 } });
});

test("a type without extensions has none", async () => {
  const answer = await ask({ $case: "allExtensionNumbersOfType", value: "google.rpc.Status" });

  expect(answer.value).toEqual({ baseTypeName: "google.rpc.Status", extensionNumber: [] });
});

test("extensions are found by the message they extend", () => {
  const extension = new BinaryWriter();
  extension.uint32(10).string("note").uint32(18).string(".a.Base").uint32(24).int32(1_001);
  const file = new BinaryWriter();
  file.uint32(10).string("a.proto").uint32(18).string("a").uint32(58).bytes(extension.finish());
  const set = new BinaryWriter().uint32(10).bytes(file.finish()).finish();

  const descriptors = new Descriptors(set);

  expect(descriptors.extensionNumbers("a.Base")).toEqual([1_001]);
  expect(descriptors.byExtension("a.Base", 1_001)?.map(({ name }) => name)).toEqual(["a.proto"]);
  expect(descriptors.bySymbol("a.note")).toHaveLength(1);
});

async function ask(
  messageRequest: Ask,
  version = "v1",
): Promise<Required<ServerReflectionResponse>["messageResponse"] & object> {
  const server = createServer();
  addReflection(server, ["grpc.health.v1.Health"]);
  const close: Running = await serve(server, "127.0.0.1:0", 100);
  const client = connect(version === "v1" ? V1Client : AlphaClient, `127.0.0.1:${close.port}`);
  try {
    const duplex = openDuplex(client, client.serverReflectionInfo, { timeoutMs: 15_000 });
    await duplex.write({ host: "", messageRequest });
    duplex.end();
    for await (const { messageResponse } of duplex.messages) if (messageResponse) return messageResponse;
    throw new Error("no answer");
  } finally {
    client.close();
    await close();
  }
}
