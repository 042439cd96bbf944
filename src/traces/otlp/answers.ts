import { BinaryWriter } from "@bufbuild/protobuf/wire";

const TAG_1_VARINT = 8;
const TAG_1_BYTES = 10;
const TAG_2_BYTES = 18;

/** Writes `ExportTraceServiceResponse`; a response without rejections is empty. */
export function encodeExportResponse(rejected: number, message: string): Uint8Array {
  const writer = new BinaryWriter();
  if (rejected === 0 && message === "") return writer.finish();
  writer.uint32(TAG_1_BYTES).fork();
  writer.uint32(TAG_1_VARINT).int64(rejected).uint32(TAG_2_BYTES).string(message);
  return writer.join().finish();
}

/** Writes `google.rpc.Status`, which OTLP asks for as the body of an error. */
export function encodeStatus(code: number, message: string): Uint8Array {
  return new BinaryWriter().uint32(TAG_1_VARINT).int32(code).uint32(TAG_2_BYTES).string(message).finish();
}
