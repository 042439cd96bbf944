import { signalNumber } from "../../signals/signals.ts";

/**
 * Reads the fields of an image's configuration that say how to run it. One of the wrong type is a problem: without it, another
 * program would run, or as another user.
 */
export class ConfigFields {
  /** What is wrong, by field. */
  readonly problems = new Map<string, string>();
  readonly #fields: ReadonlyMap<string, unknown>;

  /** @param config absent, or an object */
  constructor(config: unknown) {
    const given = config ?? {};
    if (!isObject(given)) this.problems.set("config", "must be an object");
    this.#fields = new Map(Object.entries(given));
  }

  text(field: string): string {
    return this.#read(field, "", isText, "must be a string");
  }

  list(field: string): readonly string[] {
    return this.#read(field, [], isList, "must be a list of strings");
  }

  /** Reads a list. Docker reads a string as a list of one. */
  words(field: string): readonly string[] {
    const value = this.#fields.get(field);
    return isText(value) ? [value] : this.list(field);
  }

  /** Reads the names of an object, whose values mean nothing. */
  names(field: string): string[] {
    return Object.keys(this.#read(field, {}, isObject, "must be an object"));
  }

  texts(field: string): Readonly<Record<string, string>> {
    return this.#read(field, {}, isTexts, "must be an object of strings");
  }

  /** Reads the name or number of a signal that Linux has. */
  signal(field: string): string {
    const value = this.#fields.get(field);
    const name = typeof value === "number" ? String(value) : this.text(field);
    if (name === "" || signalNumber(name) !== undefined) return name;
    this.problems.set(field, `${JSON.stringify(name.slice(0, 40))} is no signal that Linux has`);
    return "";
  }

  #read<T>(field: string, absent: T, isRight: (value: unknown) => value is T, problem: string): T {
    const value = this.#fields.get(field) ?? absent;
    if (isRight(value)) return value;
    this.problems.set(field, problem);
    return absent;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every(isText);
}
