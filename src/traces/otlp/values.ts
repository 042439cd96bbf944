import type { Attributes, AttributeValue } from "../../lib/latency/span.ts";

export const MAX_ATTRIBUTES = 128;
export const MAX_KEY = 256;
export const MAX_TEXT = 4_096;
const MAX_ITEMS = 64;
const MAX_DEPTH = 4;

type Scalar = string | number | boolean;

/** Converts OTLP's keys and values. Leaves out those without key or value, and cuts long ones. */
export function attributesOf(list: readonly unknown[]): Attributes {
  const entries: [string, AttributeValue][] = [];
  for (const item of list) {
    if (entries.length >= MAX_ATTRIBUTES) break;
    if (!isRecord(item) || typeof item["key"] !== "string" || item["key"] === "") continue;
    const value = attributeValue(item["value"]);
    if (value !== undefined) entries.push([shorten(item["key"], MAX_KEY), value]);
  }
  // fromEntries defines own properties, so a key such as __proto__ is a key like any other.
  return Object.fromEntries(entries);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the list at `key`; empty when there is none. */
export function listOf(value: unknown, key: string): readonly unknown[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : [];
}

/** Cuts `text` to `max` UTF-16 units. */
export function shorten(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

export function attributeValue(any: unknown): AttributeValue | undefined {
  const list = isRecord(any) ? any["arrayValue"] : undefined;
  if (list === undefined) return scalarOf(any);
  return listOf(list, "values")
    .slice(0, MAX_ITEMS)
    .flatMap((item) => {
      const value = scalarOf(item);
      return value === undefined ? [] : [value];
    });
}

function scalarOf(any: unknown): Scalar | undefined {
  if (!isRecord(any)) return undefined;
  const { stringValue, boolValue, intValue, doubleValue, bytesValue } = any;
  if (typeof stringValue === "string") return shorten(stringValue, MAX_TEXT);
  if (typeof boolValue === "boolean") return boolValue;
  if (intValue !== undefined) return integer(intValue);
  if (doubleValue !== undefined) return double(doubleValue);
  if (typeof bytesValue === "string") return shorten(bytesValue, MAX_TEXT);
  if (any["kvlistValue"] !== undefined || any["arrayValue"] !== undefined) {
    // Nested values are kept as JSON text.
    return shorten(JSON.stringify(plain(any, 0)) ?? "", MAX_TEXT);
  }
  return undefined;
}

function integer(raw: unknown): Scalar | undefined {
  if (typeof raw !== "number" && (typeof raw !== "string" || !/^-?\d{1,19}$/.test(raw))) return undefined;
  const value = Number(raw);
  return Number.isSafeInteger(value) ? value : String(raw);
}

export function double(raw: unknown): Scalar | undefined {
  // OTLP/JSON writes NaN and the infinities as text.
  if (typeof raw === "number") return Number.isFinite(raw) ? raw : String(raw);
  return raw === "NaN" || raw === "Infinity" || raw === "-Infinity" ? raw : undefined;
}

function plain(any: unknown, depth: number): unknown {
  if (depth >= MAX_DEPTH) return "…";
  if (!isRecord(any)) return undefined;
  if (any["arrayValue"] !== undefined) {
    return listOf(any["arrayValue"], "values")
      .slice(0, MAX_ITEMS)
      .map((item) => plain(item, depth + 1));
  }
  if (any["kvlistValue"] === undefined) return scalarOf(any);
  const pairs = listOf(any["kvlistValue"], "values").slice(0, MAX_ITEMS).filter(isRecord);
  return Object.fromEntries(
    pairs.map((pair) => [shorten(String(pair["key"]), MAX_KEY), plain(pair["value"], depth + 1)]),
  );
}
