import { appendFile, type FileHandle, open } from 'node:fs/promises';
import type { Staged } from './staging.ts';

const RULE = '-'.repeat(80);

/**
 * The files that a task's output is captured into: `>` the bare output, `>>` the output between a prologue and an
 * epilogue. Written as it comes; a crash leaves what came until then.
 */
export class Captures implements AsyncDisposable {
  private constructor(readonly files: readonly { staged: Staged; handle: FileHandle }[]) {}

  static async open(outputs: readonly Staged[], prologue: string): Promise<Captures> {
    const files: { staged: Staged; handle: FileHandle }[] = [];
    for (const staged of outputs.filter((output) => output.capture !== null)) {
      const handle = await open(staged.local, 'w');
      if (staged.capture === '>>') await handle.write(`${prologue}\n\n${RULE}\n`);
      files.push({ staged, handle });
    }
    return new Captures(files);
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (const { handle } of this.files) await handle.write(bytes);
  }

  /** Closes the files; logs get their epilogue. */
  async end(epilogue: string): Promise<void> {
    for (const { staged, handle } of this.files) {
      await handle.close();
      if (staged.capture === '>>') await appendFile(staged.local, `${RULE}\n\n${epilogue}\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.files) await handle.close().catch(() => {});
  }
}
