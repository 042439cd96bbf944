import { layerFault } from "./layer-fault.ts";

/** Headers take one block. Contents are padded to whole blocks. */
export const BLOCK = 512;

export function readName(block: Buffer, at: number, width: number): string {
  const nul = block.indexOf(0, at);
  return block.toString("latin1", at, nul < 0 || nul > at + width ? at + width : nul);
}

/** Reads a number: octal digits, or GNU's base-256 when the first bit is set. */
export function readNumber(block: Buffer, at: number, width: number): number {
  const first = block[at] ?? 0;
  return first >= 0x80 ? readBase256(block, at, width, first) : readOctal(block, at, width);
}

export function parseDecimal(text: string, what: string): number {
  const value = /^-?\d{1,20}(?:\.\d*)?$/.test(text) ? Math.floor(Number(text)) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw layerFault("LAYER_CORRUPT", `an extended header has an unusable ${what}`);
  return value;
}

/** Whether the header's checksum is right. Some old writers sum up signed bytes, which readers accept. */
export function checksumFits(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stated = readOctal(block, 148, 8);
  return stated === unsigned || stated === signed;
}

/** Whether a block is all zeros. Two of them end an archive. */
export function isZero(block: Buffer): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

function readOctal(block: Buffer, at: number, width: number): number {
  let value = 0;
  let begun = false;
  for (let i = at; i < at + width; i++) {
    const byte = block[i] ?? 0;
    const isDigit = byte >= 48 && byte <= 55;
    if (isDigit) value = value * 8 + byte - 48;
    else if (byte !== 32 && byte !== 0)
      throw layerFault("LAYER_CORRUPT", "a header has a number that is not octal");
    else if (begun) break;
    begun ||= isDigit;
  }
  return value;
}

function readBase256(block: Buffer, at: number, width: number, first: number): number {
  let value = BigInt(first & 0x7f);
  for (let i = at + 1; i < at + width; i++) value = (value << 8n) | BigInt(block[i] ?? 0);
  const bits = width * 8 - 1;
  const exact = (first & 0x40) === 0 ? value : value - (1n << BigInt(bits));
  const number = Number(exact);
  if (!Number.isSafeInteger(number))
    throw layerFault("LAYER_CORRUPT", "a header has a number that is too large");
  return number;
}
