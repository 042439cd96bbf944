/**
 * A server of grpc-js in its own process. It answers, or passes on the answer of the next server.
 */
import * as grpc from "@grpc/grpc-js";
import { serve } from "../lib/child.ts";
import { BareClient, definition, RESPONSE } from "./bare-service.ts";

export type RelayFunctions = typeof functions;

const functions = {
  /** Returns the server's address. */
  listen(next: string | undefined): Promise<string> {
    const client = next === undefined ? undefined : BareClient.connect(next);
    const call: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, respond) => {
      if (client) client.call(request, respond);
      else respond(null, RESPONSE);
    };
    const server = new grpc.Server();
    server.addService(definition, { call });
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (err, port) =>
      err ? reject(err) : resolve(`127.0.0.1:${port}`),
    );
    return promise;
  },
};
serve(functions);
