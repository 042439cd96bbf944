import { BinaryReader } from "@bufbuild/protobuf/wire";
import { rejected } from "../claims.ts";
import { isPlain } from "./block-source.ts";

// Field numbers of Biscuit's schema.proto.
const ROOT_KEY_ID = 1;
const AUTHORITY = 2;
const BLOCKS = 3;
const SIGNED_BLOCK = 1;
const SYMBOLS = 1;

const VARINT = 0;
const LENGTH_DELIMITED = 2;

/**
 * Reads the id of the key that a Biscuit names. Nothing has verified it yet.
 *
 * @throws Fault `TOKEN_INVALID`
 */
export function keyIdOf(token: string): number {
  const id = fields(Buffer.from(token, "base64url")).find(({ field }) => field === ROOT_KEY_ID)?.number;
  if (id === undefined) throw rejected("it names no key");
  return id;
}

/**
 * Checks that all strings of a Biscuit are such as the library prints unambiguously.
 *
 * @throws Fault `TOKEN_INVALID`
 */
export function checkStrings(token: string): void {
  const parts = fields(Buffer.from(token, "base64url"));
  if (parts.filter(({ field }) => field === AUTHORITY).length !== 1)
    throw rejected("its first block is not there once");
  for (const { field, bytes: signed } of parts) {
    if (field !== AUTHORITY && field !== BLOCKS) continue;
    const signedBlocks = fields(signed).filter((part) => part.field === SIGNED_BLOCK);
    // The library takes the last one; of a token that is written twice nobody knows what it says.
    if (signedBlocks.length !== 1) throw rejected("a block of it is not there once");
    for (const { field: inner, bytes } of signedBlocks.flatMap((block) => fields(block.bytes))) {
      if (inner === SYMBOLS && !isPlain(Buffer.from(bytes).toString("utf8"))) {
        throw rejected("it holds a text with characters that are not taken");
      }
    }
  }
}

interface Field {
  readonly field: number;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array;
  /** Of a varint. */
  readonly number: number | undefined;
}

const NOTHING = new Uint8Array();

function fields(bytes: Uint8Array): readonly Field[] {
  const found: Field[] = [];
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (wireType === LENGTH_DELIMITED) found.push({ field, bytes: reader.bytes(), number: undefined });
      else if (wireType === VARINT) found.push({ field, bytes: NOTHING, number: Number(reader.uint64()) });
      else reader.skip(wireType);
    }
  } catch (err) {
    throw rejected("it cannot be read", err);
  }
  return found;
}
