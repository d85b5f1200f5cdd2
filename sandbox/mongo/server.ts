/**
 * The one-machine LaunchPad: a MongoDB server on SQLite, for the mongodb driver, pymongo and Python FireWorks.
 * What it lacks it refuses with MongoDB's own errors; it never answers wrongly.
 */

import { Double, Int32, Long } from 'bson';
import type { Socket, TCPSocketListener } from 'bun';
import { helloAnswer, schemaCommands, serverCommands } from './admin.ts';
import { bulkWrite } from './bulk_write.ts';
import type { Command } from './command.ts';
import { Cursors } from './cursors.ts';
import { Doc, plainOf } from './document.ts';
import { commandNotFound, MongoAnswer, unauthorized } from './errors.ts';
import { readCommands } from './read.ts';
import { type Credentials, credentialsOf, Scram } from './scram.ts';
import { Store } from './store.ts';
import { encodeAnswer, Messages, type Request } from './wire.ts';
import { writeCommands } from './write.ts';

/** Commands that change documents or collections. */
const CHANGES = { ...writeCommands, ...schemaCommands, bulkWrite };

export interface MongoOptions {
  /** Folder of the database file; in memory when left out. */
  dir?: string;
  /** 0, the default, takes any free port. */
  port?: number;
  host?: string;
  /** With a user, every command but the greetings needs SCRAM-SHA-256 authentication first. */
  user?: string;
  password?: string;
}

export interface Mongo {
  host: string;
  port: number;
  /** A connection string without password. */
  uri: string;
  /** How often each command was run, and what queries looked at: `docsExamined`, `keysExamined`. */
  counters(): Record<string, number>;
  stop(): Promise<void>;
}

interface Connection {
  messages: Messages;
  scram: Scram | null;
  /** Answers that the socket would not take yet. */
  waiting: Buffer[];
}

/** Commands that a client may send before it has authenticated. */
const OPEN = new Set([
  'hello',
  'ismaster',
  'isMaster',
  'ping',
  'buildInfo',
  'buildinfo',
  'saslStart',
  'saslContinue',
  'endSessions',
  'logout',
  'whatsmyuri',
]);

/** Starts the server. Throws with `code: 'EADDRINUSE'` when the port is taken. */
export async function startMongo(o: MongoOptions = {}): Promise<Mongo> {
  const { host = '127.0.0.1' } = o;
  const credentials = o.user !== undefined ? credentialsOf(o.user, o.password ?? '') : null;
  const server = new Server(new Store(o.dir), credentials);
  let listener: TCPSocketListener<Connection>;
  try {
    listener = Bun.listen<Connection>({
      hostname: host,
      port: o.port ?? 0,
      socket: {
        open(socket) {
          server.sockets.add(socket);
          socket.setNoDelay(true);
          socket.data = {
            messages: new Messages(),
            scram: credentials && new Scram(credentials),
            waiting: [],
          };
        },
        data: (socket, chunk) => server.receive(socket, chunk),
        drain: (socket) => flush(socket),
        close: (socket) => void server.sockets.delete(socket),
        error: (socket) => void server.sockets.delete(socket),
      },
    });
  } catch (thrown) {
    server.store.close();
    throw thrown;
  }
  const { port } = listener;
  return {
    host,
    port,
    uri: `mongodb://${host}:${port}/`,
    counters: () => ({ ...server.counters, ...server.store.work }),
    async stop() {
      listener.stop(true);
      for (const socket of server.sockets) socket.terminate();
      server.store.close();
    },
  };
}

class Server {
  readonly sockets = new Set<Socket<Connection>>();
  readonly cursors = new Cursors();
  readonly counters: Record<string, number> = {};

  constructor(
    readonly store: Store,
    readonly credentials: Credentials | null,
  ) {}

  receive(socket: Socket<Connection>, chunk: Uint8Array): void {
    try {
      for (const request of socket.data.messages.push(chunk)) {
        const answer = this.answer(request, socket.data);
        if (!request.answer) continue;
        socket.data.waiting.push(encodeAnswer(request, answer));
      }
      flush(socket);
    } catch (thrown) {
      // Not MongoDB's protocol, or a bug of ours: this connection cannot go on, the others can.
      console.error(
        `LaunchPad server: connection closed: ${thrown instanceof Error ? thrown.stack : thrown}`,
      );
      socket.terminate();
    }
  }

  /** The reply to one request, errors included. */
  answer(request: Request, connection: Connection): object {
    const name = request.command.firstKey() ?? '';
    try {
      return { ...this.run(name, request, connection), ok: 1 };
    } catch (thrown) {
      if (!(thrown instanceof MongoAnswer)) {
        console.error(`LaunchPad server: ${name}:`, thrown);
        return { ok: 0, errmsg: `internal error: ${String(thrown)}`, code: 1, codeName: 'InternalError' };
      }
      const { message, code, codeName, fields } = thrown;
      return { ok: 0, errmsg: message, code, codeName, ...fields };
    }
  }

  private run(name: string, { command, db }: Request, connection: Connection): Record<string, unknown> {
    const { scram } = connection;
    const greeting = name === 'hello' || name === 'isMaster' || name === 'ismaster';
    const sasl = name === 'saslStart' || name === 'saslContinue';
    const work = own(CHANGES, name);
    const look = own(readCommands, name) ?? own(serverCommands, name);
    if (!greeting && !sasl && !work && !look) throw commandNotFound(name);
    this.counters[name] = (this.counters[name] ?? 0) + 1;
    if (scram && !scram.authenticated && !OPEN.has(name))
      throw unauthorized(`Command ${name} requires authentication`);
    const body = optionsOf(command);
    if (greeting) return this.greet(body, name, scram);
    if (sasl) {
      if (!scram) throw new MongoAnswer(18, 'AuthenticationFailed', 'Authentication failed.');
      return name === 'saslStart' ? scram.start(body) : scram.continue(body);
    }
    // As a server that is no member of a replica set says it, also to retryable writes.
    if (
      'txnNumber' in body ||
      'startTransaction' in body ||
      name === 'commitTransaction' ||
      name === 'abortTransaction'
    ) {
      throw new MongoAnswer(
        20,
        'IllegalOperation',
        'Transaction numbers are only allowed on a replica set member or mongos',
      );
    }
    const { store, cursors, counters } = this;
    const context = { store, cursors, counters, db: db ?? String(body.$db ?? 'test'), command, body };
    if (!work) return store.look(() => (look as Command)(context));
    return store.transaction(() => work(context));
  }

  private greet(body: Record<string, unknown>, name: string, scram: Scram | null): Record<string, unknown> {
    const answer = helloAnswer(name !== 'hello');
    answer.connectionId = Long.fromNumber(this.sockets.size);
    if (body.saslSupportedMechs && scram) answer.saslSupportedMechs = ['SCRAM-SHA-256'];
    if (body.speculativeAuthenticate && scram) {
      try {
        answer.speculativeAuthenticate = scram.start(body.speculativeAuthenticate as Record<string, unknown>);
      } catch {
        // As MongoDB: a speculation that fails is left out, and the client starts in earnest.
      }
    }
    return answer;
  }
}

/** Documents that a command carries. They are taken from the command where they are needed, never apart as a whole. */
const CARRIED = new Set([
  ...[
    'documents',
    'updates',
    'deletes',
    'pipeline',
    'ops',
    'nsInfo',
    'filter',
    'projection',
    'fields',
    'sort',
  ],
  // Only says who asks.
  'lsid',
]);

/** What a command says beside the documents that it carries. */
function optionsOf(command: Doc): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const key of command.keys()) if (!CARRIED.has(key)) options[key] = plainValue(command.get(key), key);
  return options;
}

function plainValue(value: unknown, key: string): unknown {
  // Of findAndModify; as the name of another command it is a text.
  if (value instanceof Doc && (key === 'query' || key === 'update')) return value;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (value instanceof Int32 || value instanceof Double) return value.value;
  return plainOf(Doc.of([['', value]]))[''];
}

function own(commands: Record<string, Command>, name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}

/** Writes what is waiting, as far as the socket takes it; `drain` goes on from there. */
function flush(socket: Socket<Connection>): void {
  const { waiting } = socket.data;
  while (waiting.length > 0) {
    const message = waiting[0] as Buffer;
    const written = socket.write(message);
    if (written < message.length) {
      if (written > 0) waiting[0] = message.subarray(written);
      return;
    }
    waiting.shift();
  }
}
