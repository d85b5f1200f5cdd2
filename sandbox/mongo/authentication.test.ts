import { afterAll, beforeAll, expect, test } from 'bun:test';
import { MongoClient, MongoServerError } from 'mongodb';
import { command } from './contract/wire_client.ts';
import { type Mongo, startMongo } from './server.ts';

const user = 'fire,works=1';
const password = 'pässword with spaces: 50%';

let mongo: Mongo;
beforeAll(async () => {
  mongo = await startMongo({ user, password });
});
afterAll(() => mongo.stop());

/** What inserting and counting says with these credentials: a number of documents, or the code of a refusal. */
async function tries(
  auth: { username: string; password: string } | undefined,
  more: object = {},
): Promise<unknown> {
  const client = new MongoClient(mongo.uri, { auth, ...more });
  try {
    await client.db('x').collection('c').insertOne({});
    return await client.db('x').collection('c').countDocuments();
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    return thrown.code;
  } finally {
    await client.close();
  }
}

test('the right password opens, by SCRAM-SHA-256, asked for or found out', async () => {
  expect(await tries({ username: user, password })).toBe(1);
  expect(
    await tries({ username: user, password }, { authMechanism: 'SCRAM-SHA-256', authSource: 'admin' }),
  ).toBe(2);
});

test('a wrong password or user is refused: 18', async () => {
  expect(await tries({ username: user, password: 'wrong' })).toBe(18);
  expect(await tries({ username: 'nobody', password })).toBe(18);
  expect(await tries({ username: user, password: '' }).catch(() => 18)).toBe(18);
});

test('before that, every command but a greeting is refused: 13', async () => {
  expect(await tries(undefined)).toBe(13);
  for (const name of [
    'find',
    'insert',
    'listDatabases',
    'drop',
    'serverStatus',
    'aggregate',
    'createIndexes',
  ]) {
    const answer = await command(mongo.uri, [
      [name, 'c'],
      ['$db', 'x'],
    ]);
    expect([name, Number(answer.code), answer.errmsg]).toEqual([
      name,
      13,
      `Command ${name} requires authentication`,
    ]);
  }
  for (const name of ['hello', 'ping', 'buildInfo']) {
    const answer = await command(mongo.uri, [
      [name, 1],
      ['$db', 'admin'],
    ]);
    expect([name, Number(answer.ok)]).toEqual([name, 1]);
  }
});

test('a mechanism that there is not is refused, and a server without a user knows no password', async () => {
  expect(await tries({ username: user, password }, { authMechanism: 'SCRAM-SHA-1' })).toBe(334);
  const open = await startMongo();
  const client = new MongoClient(open.uri, { auth: { username: user, password } });
  await expect(client.connect()).rejects.toMatchObject({ code: 18 });
  await client.close();
  await open.stop();
});
