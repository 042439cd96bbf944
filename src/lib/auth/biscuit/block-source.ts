import type { Value } from "../checks.ts";
import { type Alternative, BadBlock, type Check, type Condition } from "../checks.ts";

/** What the Datalog of a block says, as far as it is taken. */
export interface Block {
  readonly facts: ReadonlyMap<string, readonly Value[]>;
  readonly checks: readonly Check[];
}

// The library prints strings without escapes, so that only such are taken as need none.
const STRING = '"[A-Za-z0-9@._:/+-]*"';
const DATE = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ";
const VALUE = `${STRING}|${DATE}|-?\\d{1,15}`;
const NAME = "[a-z][a-z_]{0,31}";
const VARIABLE = "\\$[a-z][a-z0-9_]{0,31}";
const STRINGS = `${STRING}(?:, ${STRING})*`;

const FACT = new RegExp(`^(${NAME})\\((${VALUE})\\)$`);
const ATOM = new RegExp(`^(${NAME})\\((?:(${VARIABLE})|(${VALUE}))\\)$`);
const COMPARISON = new RegExp(`^(${VARIABLE}) (<|<=|>|>=|==|===) (${VALUE})$`);
const PREFIX = new RegExp(`^(${VARIABLE})\\.starts_with\\((${STRING})\\)$`);
const MEMBER = new RegExp(`^(?:\\[(${STRINGS})\\]|\\{(${STRINGS})\\})\\.contains\\((${VARIABLE})\\)$`);
const MAX_STATEMENTS = 64;
/** A text that a token holds once can be printed many times: this is twice what fits into a token. */
const MAX_SOURCE = 8_192;
/** Of one alternative: each call pays for their square. */
const MAX_VARIABLES = 16;

/** Whether text can be a string of a block. */
export function isPlain(text: string): boolean {
  return text.length <= 256 && new RegExp(`^${STRING}$`).test(`"${text}"`);
}

/**
 * Parses the Datalog of a block, as the library prints it: facts with one value, and checks on one
 * variable at a time. Everything else is refused, which bounds what a check costs.
 *
 * @throws BadBlock
 */
export function parseBlock(source: string): Block {
  if (source.length > MAX_SOURCE)
    throw new BadBlock(`a block has at most ${MAX_SOURCE} characters as Datalog`);
  const facts = new Map<string, Value[]>();
  const checks: Check[] = [];
  const lines = source.split("\n").filter((line) => line !== "");
  if (lines.length > MAX_STATEMENTS) throw new BadBlock(`a block has at most ${MAX_STATEMENTS} statements`);
  for (const line of lines) {
    const statement = line.endsWith(";") ? line.slice(0, -1) : "";
    const [, name, value] = FACT.exec(statement) ?? [];
    if (name !== undefined && value !== undefined) {
      facts.set(name, [...(facts.get(name) ?? []), parseValue(value)]);
    } else {
      checks.push(parseCheck(statement));
    }
  }
  return { facts, checks };
}

function parseCheck(statement: string): Check {
  const [, body] = /^check if (.+)$/.exec(statement) ?? [];
  if (body === undefined) throw new BadBlock("only facts and `check if` are taken");
  return { source: statement, alternatives: body.split(" or ").map(parseAlternative) };
}

function parseAlternative(source: string): Alternative {
  const constants: [string, Value][] = [];
  const bindings: [string, string][] = [];
  const conditions: Condition[] = [];
  for (const term of termsOf(source)) {
    const [, name, variable, value] = ATOM.exec(term) ?? [];
    if (name !== undefined && variable !== undefined) bindings.push([variable, name]);
    else if (name !== undefined && value !== undefined) constants.push([name, parseValue(value)]);
    else conditions.push(parseCondition(term));
  }
  if (Math.max(bindings.length, conditions.length) > MAX_VARIABLES)
    throw new BadBlock(`a check has at most ${MAX_VARIABLES} variables and conditions`);
  const bound = new Set(bindings.map(([variable]) => variable));
  if (conditions.some(({ variable }) => !bound.has(variable)))
    throw new BadBlock("a check has an unbound variable");
  return { constants, bindings, conditions };
}

/** Splits at commas, but not at those of a set. Strings have neither commas nor brackets. */
function termsOf(source: string): string[] {
  const terms: string[] = [];
  let [start, depth] = [0, 0];
  for (let i = 0; i < source.length; i++) {
    const character = source[i];
    if (character === "[" || character === "{") depth += 1;
    else if (character === "]" || character === "}") depth -= 1;
    else if (character === "," && depth === 0) {
      terms.push(source.slice(start, i));
      start = i + ", ".length;
    }
  }
  return [...terms, source.slice(start)];
}

function parseCondition(term: string): Condition {
  const [, compared, operator, value] = COMPARISON.exec(term) ?? [];
  if (compared !== undefined && operator !== undefined && value !== undefined) {
    return { kind: "compare", variable: compared, operator: toOperator(operator), value: parseValue(value) };
  }
  const [, prefixed, prefix] = PREFIX.exec(term) ?? [];
  if (prefixed !== undefined && prefix !== undefined) {
    return { kind: "prefix", variable: prefixed, prefix: unquote(prefix) };
  }
  const [, list, set, member] = MEMBER.exec(term) ?? [];
  const values = list ?? set;
  if (values !== undefined && member !== undefined) {
    return { kind: "member", variable: member, values: new Set(values.split(", ").map(unquote)) };
  }
  throw new BadBlock("a check has a condition that is not taken");
}

function toOperator(printed: string): "<" | "<=" | ">" | ">=" | "==" {
  return printed === "<" || printed === "<=" || printed === ">" || printed === ">=" ? printed : "==";
}

function parseValue(printed: string): Value {
  if (printed.startsWith('"')) return unquote(printed);
  const value = printed.endsWith("Z") ? Date.parse(printed) : Number(printed);
  // Nothing is before it, and nothing after.
  if (Number.isNaN(value)) throw new BadBlock("it holds a time that does not exist");
  return value;
}

function unquote(printed: string): string {
  return printed.slice(1, -1);
}
