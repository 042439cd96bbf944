/**
 * A server that does nothing but answer, or ask the next one and pass its answer on: bare grpc-js. Started by `bare-calls.ts` with the next one's
 * port, if there is one; says its own.
 */
import * as grpc from "@grpc/grpc-js";
import { ANSWER, BareClient, definition } from "./bare-service.ts";

const next = process.argv[2];
const client = next === undefined ? undefined : new BareClient(next, grpc.credentials.createInsecure());
const server = new grpc.Server();
server.addService(definition, {
  call: ((request, respond) => {
    if (client) client.call(request.request, respond);
    else respond(null, ANSWER);
  }) satisfies grpc.handleUnaryCall<Buffer, Buffer>,
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (err, port) => {
  if (err) throw err;
  process.send?.(port);
});
process.on("disconnect", () => process.exit(0));
