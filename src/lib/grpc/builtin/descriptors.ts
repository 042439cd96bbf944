import { BinaryReader } from "@bufbuild/protobuf/wire";

/** One proto file, as the compiler described it. */
export interface FileDescriptor {
  readonly name: string;
  /** Names of the files it imports. */
  readonly dependencies: readonly string[];
  /** The descriptor as the compiler wrote it, byte for byte. */
  readonly bytes: Uint8Array;
}

/** The proto files of a descriptor set, by what is in them. Only what reflection asks for is parsed. */
export class Descriptors {
  readonly #files = new Map<string, FileDescriptor>();
  readonly #symbols = new Map<string, FileDescriptor>();
  readonly #extensions = new Map<string, Map<number, FileDescriptor>>();

  /** @param set a serialised `google.protobuf.FileDescriptorSet` */
  constructor(set: Uint8Array) {
    for (const { field, bytes } of fields(set)) {
      if (field === FILES) this.#add(bytes);
    }
  }

  /** The file of this name and everything it imports, itself first; undefined when there is none. */
  byName(name: string): readonly FileDescriptor[] | undefined {
    const file = this.#files.get(name);
    return file && this.#withImports(file);
  }

  /** The same for the file that declares this symbol: a message, field, enum, service or method. */
  bySymbol(symbol: string): readonly FileDescriptor[] | undefined {
    const file = this.#symbols.get(symbol);
    return file && this.#withImports(file);
  }

  /** The same for the file that declares this extension of a message. */
  byExtension(message: string, number: number): readonly FileDescriptor[] | undefined {
    const file = this.#extensions.get(message)?.get(number);
    return file && this.#withImports(file);
  }

  /** The numbers of the extensions of a message; undefined when the message is unknown. */
  extensionNumbers(message: string): readonly number[] | undefined {
    const known = this.#extensions.get(message);
    if (known) return [...known.keys()];
    return this.#symbols.has(message) ? [] : undefined;
  }

  #withImports(file: FileDescriptor): FileDescriptor[] {
    const found = new Set([file]);
    for (const one of found) {
      for (const name of one.dependencies) {
        const imported = this.#files.get(name);
        // A Set may grow while it is iterated; what is added is visited too.
        if (imported) found.add(imported);
      }
    }
    return [...found];
  }

  #add(bytes: Uint8Array): void {
    const parts = fields(bytes);
    const file = {
      name: text(parts, 1),
      dependencies: parts.filter((p) => p.field === 3).map((p) => utf8(p.bytes)),
      bytes,
    };
    const scope = text(parts, 2);
    this.#files.set(file.name, file);
    for (const part of parts) {
      if (part.field === 4) this.#message(part.bytes, scope, file);
      else if (part.field === 5) this.#enum(part.bytes, scope, file);
      else if (part.field === 6) this.#service(part.bytes, scope, file);
      else if (part.field === 7) this.#extension(part.bytes, scope, file);
    }
  }

  #message(bytes: Uint8Array, scope: string, file: FileDescriptor): void {
    const parts = fields(bytes);
    const name = this.#name(parts, scope, file);
    for (const part of parts) {
      if (part.field === 2 || part.field === 8) this.#name(fields(part.bytes), name, file);
      else if (part.field === 3) this.#message(part.bytes, name, file);
      else if (part.field === 4) this.#enum(part.bytes, name, file);
      else if (part.field === 6) this.#extension(part.bytes, name, file);
    }
  }

  #enum(bytes: Uint8Array, scope: string, file: FileDescriptor): void {
    const parts = fields(bytes);
    this.#name(parts, scope, file);
    for (const part of parts) {
      // In protobuf an enum's values are named in the enum's own scope.
      if (part.field === 2) this.#name(fields(part.bytes), scope, file);
    }
  }

  #service(bytes: Uint8Array, scope: string, file: FileDescriptor): void {
    const parts = fields(bytes);
    const name = this.#name(parts, scope, file);
    for (const part of parts) {
      if (part.field === 2) this.#name(fields(part.bytes), name, file);
    }
  }

  #extension(bytes: Uint8Array, scope: string, file: FileDescriptor): void {
    const parts = fields(bytes);
    this.#name(parts, scope, file);
    const message = text(parts, 2).replace(/^\./, "");
    const numbers = this.#extensions.get(message) ?? new Map<number, FileDescriptor>();
    this.#extensions.set(message, numbers.set(parts.find((p) => p.field === 3)?.number ?? 0, file));
  }

  #name(parts: readonly Field[], scope: string, file: FileDescriptor): string {
    const name = scope === "" ? text(parts, 1) : `${scope}.${text(parts, 1)}`;
    this.#symbols.set(name, file);
    return name;
  }
}

/** `FileDescriptorSet.file` */
const FILES = 1;
const VARINT = 0;
const LENGTH_DELIMITED = 2;

interface Field {
  readonly field: number;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array;
  /** Of a varint. */
  readonly number: number;
}

const NOTHING = new Uint8Array();

function fields(bytes: Uint8Array): Field[] {
  const reader = new BinaryReader(bytes);
  const found: Field[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === LENGTH_DELIMITED) found.push({ field, bytes: reader.bytes(), number: 0 });
    else if (wireType === VARINT) found.push({ field, bytes: NOTHING, number: Number(reader.int64()) });
    else reader.skip(wireType);
  }
  return found;
}

function text(parts: readonly Field[], field: number): string {
  return utf8(parts.find((p) => p.field === field)?.bytes ?? NOTHING);
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}
