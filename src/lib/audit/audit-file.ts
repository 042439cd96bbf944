import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bounds of the files of an audit log. */
export interface FileBounds {
  readonly maxBytes: number;
  readonly maxFiles: number;
}

const NEWLINE = 0x0a;

/** Path of a file of the log: 0 is the one that is written, higher numbers are older. */
export function auditPath(folder: string, age: number): string {
  return join(folder, age === 0 ? "audit.jsonl" : `audit.${age}.jsonl`);
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly ino: number;
  bytes: number;
}

/** Appends to a file, and begins a new one when it is full. Calls must not overlap. */
export class AuditFile {
  readonly #folder: string;
  readonly #bounds: FileBounds;
  #file: OpenFile | undefined;

  constructor(folder: string, bounds: FileBounds) {
    this.#folder = folder;
    this.#bounds = bounds;
  }

  /** Appends lines and syncs them to the disk. */
  async append(text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    if (this.#file && !(await this.#isInPlace(this.#file))) await this.close();
    if (this.#file && this.#file.bytes > 0 && this.#file.bytes + bytes > this.#bounds.maxBytes) {
      await this.close();
      this.#rotate();
    }
    this.#file ??= await this.#open();
    const { handle } = this.#file;
    await handle.appendFile(text);
    this.#file.bytes += bytes;
    await handle.datasync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  /** Whether nobody has moved or removed the file meanwhile, e.g. a logrotate. */
  async #isInPlace({ ino }: OpenFile): Promise<boolean> {
    const found = await stat(auditPath(this.#folder, 0)).catch(() => undefined);
    return found?.ino === ino;
  }

  async #open(): Promise<OpenFile> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const handle = await open(auditPath(this.#folder, 0), "a+", 0o600);
    await handle.chmod(0o600);
    const { size, ino } = await handle.stat();
    // A crash or a full disk may have left a part of a line, which must not spoil the next one.
    const last = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    if (size === 0 || last.buffer[0] === NEWLINE) return { handle, ino, bytes: size };
    await handle.appendFile("\n");
    return { handle, ino, bytes: size + 1 };
  }

  #rotate(): void {
    const oldest = this.#bounds.maxFiles - 1;
    rmSync(auditPath(this.#folder, oldest), { force: true });
    for (let age = oldest; age > 0; age--) {
      const from = auditPath(this.#folder, age - 1);
      if (existsSync(from)) renameSync(from, auditPath(this.#folder, age));
    }
  }
}
