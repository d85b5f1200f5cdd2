/**
 * The FilePad: files in a database, each with an identifier (fireworks/utilities/filepad.py). Its documents are those that
 * Python writes and reads: a description in `filepad`, which names the contents in a GridFS bucket by the text of their id.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDeflate, createInflate } from 'node:zlib';
import { Binary, Long, ObjectId } from 'bson';
import type { Collection, Document, FindOptions } from 'mongodb';
import { BorealisError, messageOf } from '../errors.ts';
import { type Doc, LaunchPad } from '../launchpad/index.ts';
import { type Logger, silent } from '../log.ts';
import { oneNewline } from './newlines.ts';
import type { FilePadSettings } from './settings.ts';

/** GridFS' own size of a piece. */
const CHUNK = 255 * 1024;

export interface FileDescription extends Doc {
  identifier: unknown;
  original_file_name: string;
  original_file_path: string;
  metadata: unknown;
  compressed: boolean;
  gfs_id: string;
}

export class FilePad implements AsyncDisposable {
  readonly #filepad: Collection<Document>;
  readonly #files: Collection<Document>;
  readonly #chunks: Collection<Document>;

  private constructor(
    readonly connection: LaunchPad,
    readonly settings: FilePadSettings,
    readonly log: Logger,
  ) {
    const { db } = connection;
    this.#filepad = db.collection(settings.filepad);
    this.#files = db.collection(`${settings.gridfs}.files`);
    this.#chunks = db.collection(`${settings.gridfs}.chunks`);
  }

  /** Connects, and makes the indexes. */
  static async open(settings: FilePadSettings, log: Logger = silent): Promise<FilePad> {
    const filepad = new FilePad(await LaunchPad.open(settings.server), settings, log);
    try {
      await filepad.#createIndexes();
    } catch (thrown) {
      await filepad.connection.close();
      throw thrown;
    }
    return filepad;
  }

  async #createIndexes(): Promise<void> {
    for (const key of ['identifier', 'gfs_id']) await this.#filepad.createIndex(key, { unique: true });
    await this.#files.createIndex({ filename: 1, uploadDate: 1 });
    await this.#chunks.createIndex({ files_id: 1, n: 1 }, { unique: true });
  }

  /**
   * Adds a file, unless its identifier is taken: then that is told, and nothing is done. The contents come first, so that a
   * crash leaves contents that nobody names, and never a description without contents.
   */
  async add(path: string, identifier: string, o: { compress: boolean; metadata: unknown }): Promise<void> {
    if (await this.#filepad.findOne({ identifier }, { projection: { _id: 1 } })) {
      this.log.warning(`FilePad: identifier '${identifier}' exists: the file is not added`);
      return;
    }
    const from = resolve(path);
    const id = new ObjectId();
    await this.#writeContents(from, id, o.compress);
    await this.#filepad.insertOne({
      identifier,
      original_file_name: basename(from),
      original_file_path: from,
      metadata: o.metadata,
      compressed: o.compress,
      gfs_id: id.toHexString(),
    });
  }

  /** The description of a file; null: there is none. Its metadata keep their types. */
  async find(identifier: string): Promise<FileDescription | null> {
    const [found] = await this.query({ identifier });
    return found ?? null;
  }

  /** The descriptions that a query finds. */
  async query(
    query: Doc,
    o: { sortKey?: string | null; descending?: boolean } = {},
  ): Promise<FileDescription[]> {
    const options: FindOptions = { promoteValues: false, projection: { _id: 0 } };
    const found = this.#filepad.find(query, options);
    if (o.sortKey) found.sort({ [o.sortKey]: o.descending === false ? 1 : -1 });
    return await found.map((one) => one as unknown as FileDescription).toArray();
  }

  /** Writes the contents of a file to `to`. */
  async fetch(description: FileDescription, to: string): Promise<void> {
    const id = new ObjectId(String(description.gfs_id));
    if (!(await this.#files.findOne({ _id: id }, { projection: { _id: 1 } })))
      throw new BorealisError(
        `The FilePad has no contents for '${description.identifier}': somebody deleted them from ${this.settings.gridfs}`,
      );
    const chunks = this.#chunks.find({ files_id: id }, { sort: { n: 1 }, batchSize: 16 });
    const contents = Readable.from(contentsOf(chunks));
    const change: Transform[] = description.compressed ? [createInflate()] : [];
    await pipeline([contents, ...change, createWriteStream(to)]);
  }

  /** Deletes a file; one that is not there is told. A crash leaves a description without contents, which can be deleted again. */
  async delete(identifier: string): Promise<void> {
    const found = await this.find(identifier);
    if (!found) return this.log.warning(`FilePad: there is no file '${identifier}' to delete`);
    const id = new ObjectId(String(found.gfs_id));
    await this.#files.deleteOne({ _id: id });
    await this.#chunks.deleteMany({ files_id: id });
    await this.#filepad.deleteOne({ gfs_id: found.gfs_id });
  }

  /** The pieces first, then the file's own document, as GridFS wants it. */
  async #writeContents(path: string, id: ObjectId, compress: boolean): Promise<void> {
    await stat(path);
    const changes: Transform[] = [
      ...(this.settings.textMode ? [oneNewline()] : []),
      ...(compress ? [createDeflate()] : []),
    ];
    let length = 0;
    await pipeline([
      createReadStream(path),
      ...changes,
      async (stream: AsyncIterable<Buffer>) => {
        let n = 0;
        for await (const piece of pieces(stream)) {
          await this.#chunks.insertOne({ files_id: id, n: n++, data: new Binary(piece) });
          length += piece.length;
        }
      },
    ]).catch(async (thrown) => {
      await this.#chunks.deleteMany({ files_id: id }).catch(() => {});
      throw new BorealisError(`${path} cannot be added to the FilePad: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    });
    await this.#files.insertOne({
      _id: id,
      chunkSize: CHUNK,
      length: Long.fromNumber(length),
      uploadDate: new Date(),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connection.close();
  }
}

/** The same bytes in pieces of a chunk's size. */
async function* pieces(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting = Buffer.alloc(0);
  for await (const bytes of stream) {
    waiting = Buffer.concat([waiting, bytes]);
    for (; waiting.length >= CHUNK; waiting = waiting.subarray(CHUNK)) yield waiting.subarray(0, CHUNK);
  }
  if (waiting.length > 0) yield waiting;
}

async function* contentsOf(chunks: AsyncIterable<Document>): AsyncGenerator<Uint8Array> {
  for await (const { data } of chunks) yield (data as Binary).buffer.subarray(0, (data as Binary).position);
}
