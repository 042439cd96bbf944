import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../../gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as AlphaService } from "../../../gen/grpc/reflection/v1alpha/reflection.ts";
import { Paces } from "../../limits/paces.ts";
import { systemClock } from "../../runtime/clock.ts";
import { bidiStream } from "../server/rpc.ts";
import { Descriptors, type FileDescriptor } from "./descriptors.ts";

/** Written by `buf build` when the code is generated. */
const DESCRIPTORS = new URL("../../../gen/descriptors.binpb", import.meta.url);

/** Of an organisation, or of all who show no token. One call may ask for thousands, each as large as a file. */
const ANSWERS = { perSecond: 200, burst: 1_000 };

/**
 * Adds server reflection, v1 and v1alpha, to a server. Serves the compiler's own bytes: rebuilt descriptors lose their
 * imports, and strict clients then fail.
 *
 * @param services full names of what the server serves; reflection itself is added
 * @param set a serialised FileDescriptorSet; default the one made with the generated code
 */
export function addReflection(
  server: grpc.Server,
  services: readonly string[],
  set: Uint8Array = readFileSync(DESCRIPTORS),
): void {
  const descriptors = new Descriptors(set);
  const paces = new Paces({ ...ANSWERS, clock: systemClock });
  const names = [
    ...services,
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
  ].sort();
  const serverReflectionInfo = bidiStream<ServerReflectionRequest, ServerReflectionResponse>(async function* (
    requests,
    { claims, signal },
  ) {
    for await (const request of requests) {
      await paces.take(claims?.org ?? "", 1, signal);
      yield respond(request, descriptors, names);
    }
  });
  server.addService(ServerReflectionService, { serverReflectionInfo });
  // The alpha messages are the same on the wire and in their types; only the package differs.
  server.addService(AlphaService, { serverReflectionInfo });
}

type Answer = ServerReflectionResponse["messageResponse"];

function respond(
  request: ServerReflectionRequest,
  descriptors: Descriptors,
  services: readonly string[],
): ServerReflectionResponse {
  return {
    validHost: request.host,
    originalRequest: request,
    messageResponse: answer(request, descriptors, services),
  };
}

function answer(
  request: ServerReflectionRequest,
  descriptors: Descriptors,
  services: readonly string[],
): Answer {
  const asked = request.messageRequest;
  switch (asked?.$case) {
    case "listServices":
      return {
        $case: "listServicesResponse",
        value: { service: services.map((name) => ({ name })) },
      };
    case "fileByFilename":
      return files(descriptors.byName(asked.value), `file ${asked.value}`);
    case "fileContainingSymbol":
      return files(descriptors.bySymbol(asked.value), `symbol ${asked.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = asked.value;
      return files(
        descriptors.byExtension(containingType, extensionNumber),
        `extension ${extensionNumber} of ${containingType}`,
      );
    }
    case "allExtensionNumbersOfType": {
      const numbers = descriptors.extensionNumbers(asked.value);
      if (!numbers) return notFound(`type ${asked.value}`);
      return {
        $case: "allExtensionNumbersResponse",
        value: { baseTypeName: asked.value, extensionNumber: [...numbers] },
      };
    }
    default:
      return failure(grpc.status.INVALID_ARGUMENT, "the request asks for nothing this server knows");
  }
}

function files(found: readonly FileDescriptor[] | undefined, what: string): Answer {
  if (!found) return notFound(what);
  return {
    $case: "fileDescriptorResponse",
    value: { fileDescriptorProto: found.map((file) => Buffer.from(file.bytes)) },
  };
}

function notFound(what: string): Answer {
  return failure(grpc.status.NOT_FOUND, `there is no ${what} here`);
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode, errorMessage } };
}
