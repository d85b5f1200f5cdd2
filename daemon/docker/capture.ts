import { appendFile, type FileHandle, open } from 'node:fs/promises';
import type { Staged } from './staging.ts';

const RULE = '-'.repeat(80);

/**
 * The files that a task's output is captured into: `>` the bare output, `>>` the output between a prologue and an
 * epilogue. Written as it comes, byte for byte; a crash leaves what came until then.
 */
export class Captures implements AsyncDisposable {
  /** What is being written: the next piece is read meanwhile, but no more than that. */
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(readonly files: readonly { staged: Staged; handle: FileHandle }[]) {}

  static async open(outputs: readonly Staged[], prologue: string): Promise<Captures> {
    const files: { staged: Staged; handle: FileHandle }[] = [];
    for (const staged of outputs.filter((output) => output.capture !== null)) {
      // To append: what is cut off for another run leaves no hole.
      const handle = await open(staged.local, 'a');
      await handle.truncate();
      if (staged.capture === '>>') await handle.appendFile(`${prologue}\n\n${RULE}\n`);
      files.push({ staged, handle });
    }
    return new Captures(files);
  }

  /** Resolves when the piece before this one is written. Throws what went wrong with it: a full disk. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#writing;
    this.#writing = Promise.all(this.files.map(({ handle }) => handle.appendFile(bytes)));
    // Whoever comes next hears of a failure.
    this.#writing.catch(() => {});
  }

  /** The command is run again: logs get a line that says why; the bare output begins anew. */
  async again(why: string): Promise<void> {
    await this.#writing;
    for (const { staged, handle } of this.files) {
      if (staged.capture === '>>') await handle.appendFile(`${RULE}\n${why}\n${RULE}\n`);
      else await handle.truncate();
    }
  }

  /** Closes the files; logs get their epilogue. Throws when the output could not be written. */
  async end(epilogue: string): Promise<void> {
    const written = this.#writing.catch((thrown: unknown) => thrown);
    const failure = await written;
    for (const { staged, handle } of this.files) {
      await handle.close();
      if (staged.capture === '>>') await appendFile(staged.local, `${RULE}\n\n${epilogue}\n`);
    }
    if (failure instanceof Error) throw failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.files) await handle.close().catch(() => {});
  }
}
