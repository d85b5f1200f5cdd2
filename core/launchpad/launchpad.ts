/** The LaunchPad: a connection to the database that is the only truth about work. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Collection, Db, Document, MongoClient, MongoClientOptions } from 'mongodb';
import { BorealisError, messageOf } from '../errors.ts';
import { type Logger, silent } from '../log.ts';
import { MINUTE, SECOND } from '../wait.ts';
import { mongodbDriver } from './driver.ts';
import { createIndexes } from './indexes.ts';
import { LaunchIds } from './launch_ids.ts';
import { LOCK_MANNERS, type LockManners, type OwnLocks } from './lock.ts';
import { LastPlaces } from './mark_running.ts';
import { describeLaunchPad, type LaunchPadSettings } from './settings.ts';
import { StillOpen } from './still_open.ts';

export interface LaunchPadOptions {
  /** How long to look for the server before giving up. */
  serverSelectionTimeoutMs?: number;
  appName?: string;
  /** The connection tells of each command (`commandStarted`): for tests of cost. */
  monitorCommands?: boolean;
  log?: Logger;
  lock?: Partial<LockManners>;
  /** How many launch ids are reserved at once, at most. More than 1 is for workers: it leaves gaps. */
  launchIdsAhead?: number;
}

export class LaunchPad implements AsyncDisposable {
  readonly fireworks: Collection<Document>;
  readonly launches: Collection<Document>;
  readonly workflows: Collection<Document>;
  readonly offlineRuns: Collection<Document>;
  readonly ids: Collection<Document>;
  /** Where commands that concern several collections are sent. */
  readonly admin: Db;
  readonly locks: OwnLocks = {
    name: `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`,
    live: new Set(),
    taken: 0,
  };

  readonly stillOpen = new StillOpen();

  readonly lastPlaces = new LastPlaces();

  /** False when the server turned out not to know the command `bulkWrite`. */
  bulks = true;

  private constructor(
    readonly client: MongoClient,
    readonly db: Db,
    readonly settings: LaunchPadSettings,
    readonly log: Logger,
    readonly lock: LockManners,
    readonly launchIds: LaunchIds,
  ) {
    this.admin = client.db('admin');
    this.fireworks = db.collection('fireworks');
    this.launches = db.collection('launches');
    this.workflows = db.collection('workflows');
    this.offlineRuns = db.collection('offline_runs');
    this.ids = db.collection('fw_id_assigner');
  }

  /** Connects and makes sure that somebody answers. Throws BorealisError that says where it looked and what to check. */
  static async open(settings: LaunchPadSettings, o: LaunchPadOptions = {}): Promise<LaunchPad> {
    const { MongoClient } = await mongodbDriver();
    const client = new MongoClient(uriOf(settings), clientOptions(settings, o));
    try {
      await client.connect();
      const db = client.db(settings.name);
      const lock = { ...LOCK_MANNERS, ...o.lock };
      const launchpad = new LaunchPad(
        client,
        db,
        settings,
        o.log ?? silent,
        lock,
        new LaunchIds(o.launchIdsAhead ?? 1),
      );
      // The greetings need no password; the first real command does.
      await launchpad.workflows.findOne({}, { projection: { _id: 1 } });
      return launchpad;
    } catch (thrown) {
      await client.close().catch(() => {});
      throw connectionError(settings, thrown);
    }
  }

  /** Empties the database and makes its indexes (`LaunchPad.reset`). Asks nothing: that is the caller's part. */
  async reset(): Promise<void> {
    await Promise.all(
      [this.fireworks, this.launches, this.workflows, this.offlineRuns].map((c) => c.deleteMany({})),
    );
    for (const name of ['fw_gridfs.chunks', 'fw_gridfs.files'])
      await this.db
        .collection(name)
        .drop()
        .catch(() => {});
    await this.ids.deleteMany({});
    await this.ids.replaceOne({ _id: -1 as never }, { next_fw_id: 1, next_launch_id: 1 }, { upsert: true });
    await createIndexes(this);
  }

  /** Reserves `count` ids that follow each other and returns the first (`get_new_fw_id`, `get_new_launch_id`). */
  async newIds(kind: 'next_fw_id' | 'next_launch_id', count = 1): Promise<number> {
    const found = await this.ids.findOneAndUpdate(
      {},
      { $inc: { [kind]: count } },
      { projection: { [kind]: 1 } },
    );
    if (found) return Number(found[kind]);
    if (await this.#begin()) return await this.newIds(kind, count);
    throw new BorealisError(
      `The database ${describeLaunchPad(this.settings)} is no LaunchPad yet. Make it one: lpad reset`,
    );
  }

  /** Makes an empty database a LaunchPad: nobody's work can be in it. False when there is something in it. */
  async #begin(): Promise<boolean> {
    if ((await this.fireworks.findOne({}, { projection: { _id: 1 } })) !== null) return false;
    await createIndexes(this);
    // Of several who begin at once one alone inserts: `_id` is unique.
    await this.ids.updateOne(
      { _id: -1 as never },
      { $setOnInsert: { next_fw_id: 1, next_launch_id: 1 } },
      { upsert: true },
    );
    return true;
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function uriOf(settings: LaunchPadSettings): string {
  return settings.uriMode ? settings.host : `mongodb://${settings.host}:${settings.port}/`;
}

function clientOptions(settings: LaunchPadSettings, o: LaunchPadOptions): MongoClientOptions {
  const { username, password, tls } = settings;
  return {
    serverSelectionTimeoutMS: o.serverSelectionTimeoutMs ?? 10 * SECOND,
    // FireWorks' own (MONGO_SOCKET_TIMEOUT_MS): an answer that never comes must not hold a worker for ever.
    socketTimeoutMS: 5 * MINUTE,
    // A greeting that is never answered would hold a heartbeat for as long as this; the driver's own is half a minute.
    connectTimeoutMS: 10 * SECOND,
    appName: o.appName ?? 'borealis',
    monitorCommands: o.monitorCommands ?? false,
    // Few sockets each: 500 workers share one server.
    maxPoolSize: 4,
    // A lone server has none; FireWorks' own rules make a repeated write harmless.
    retryWrites: settings.uriMode,
    ...(username !== undefined &&
      !settings.uriMode && {
        auth: { username, password: password ?? '' },
        authSource: settings.authsource ?? settings.name,
      }),
    ...(tls && {
      tls: true,
      ...(tls.caFile && { tlsCAFile: tls.caFile }),
      ...(tls.certFile && { tlsCertificateKeyFile: tls.certFile }),
      ...(tls.passphrase && { tlsCertificateKeyFilePassword: tls.passphrase }),
    }),
    ...(settings.clientOptions as MongoClientOptions),
  };
}

function connectionError(settings: LaunchPadSettings, cause: unknown): BorealisError {
  const where = describeLaunchPad(settings);
  const code = (cause as { code?: unknown }).code;
  if (code === 18 || code === 13 || /auth/i.test((cause as Error).name)) {
    const who = settings.username ? `user '${settings.username}'` : 'a client without username';
    return new BorealisError(
      `The LaunchPad at ${where} refused ${who}: ${messageOf(cause)} Check username, password and authsource in the LaunchPad file`,
      { cause },
    );
  }
  return new BorealisError(
    `No LaunchPad answers at ${where}: ${messageOf(cause)}. Is MongoDB running there, and the address right?`,
    { cause },
  );
}

/**
 * What a server says that goes down or hands over to another: ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary,
 * InterruptedAtShutdown, InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary.
 */
const GOING = [91, 189, 10107, 11600, 11602, 13435, 13436];

/** True when a failure means that the server is away and the same call can succeed later. */
export function isAway(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (GOING.includes((thrown as Error & { code?: number }).code ?? 0)) return true;
  // A write of several statements wraps what ended it.
  if (thrown.name === 'MongoBulkWriteError')
    return isAway((thrown as Error & { errorResponse?: unknown }).errorResponse);
  return /^Mongo(Network|ServerSelection|NotConnected|TopologyClosed|PoolCleared|WaitQueue)/.test(
    thrown.name,
  );
}
