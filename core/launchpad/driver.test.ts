import { expect, test } from 'bun:test';
import { startMongo } from '../../sandbox/mongo/server.ts';
import { sleep } from '../wait.ts';
import { mongodbDriver } from './driver.ts';

/** The inside of a client, where the connections of its pool are. */
interface Inside {
  topology: { s: { servers: Map<string, { pool: { connections: Iterable<Idle> } }> } };
}

interface Idle {
  socket: { destroy(): void };
  command(namespace: unknown, command: unknown, options: unknown): Promise<unknown>;
}

test('a command on a connection that is about to close fails at once, and the next one succeeds', async () => {
  const { MongoClient } = await mongodbDriver();
  const mongo = await startMongo({});
  const client = new MongoClient(mongo.uri);
  try {
    await client.db('x').command({ ping: 1 });
    const [server] = [...(client as unknown as Inside).topology.s.servers.values()];
    const [idle] = [...(server?.pool.connections ?? [])] as [Idle];
    // As when its server dies: gone, and 'close' not yet told.
    idle.socket.destroy();
    const asked = idle.command({ db: 'x' }, { ping: 1 }, {}).catch((thrown) => thrown);
    expect(String(await Promise.race([asked, sleep(3000)]))).toMatch(
      /^MongoNetworkError: connection \d+ to .* closed$/,
    );
    expect(await client.db('x').command({ ping: 1 })).toMatchObject({ ok: 1 });
  } finally {
    await client.close();
    await mongo.stop();
  }
});

/** A server that stops while commands are on their way: each of them fails or succeeds, none waits for ever. */
test('commands whose server dies end', async () => {
  const { MongoClient } = await mongodbDriver();
  for (let round = 0; round < 4; round++) {
    const mongo = await startMongo({});
    const clients = Array.from(
      { length: 4 },
      () => new MongoClient(mongo.uri, { serverSelectionTimeoutMS: 200 }),
    );
    let going = true;
    const asking = clients.flatMap((client) =>
      Array.from({ length: 4 }, async () => {
        while (going)
          await client
            .db('x')
            .command({ ping: 1 })
            .catch(() => sleep(1));
      }),
    );
    await sleep(30 + round * 3);
    await mongo.stop();
    going = false;
    const ended = await Promise.race([Promise.all(asking).then(() => 'all ended'), sleep(3000)]);
    expect({ round, ended }).toEqual({ round, ended: 'all ended' });
    await Promise.all(clients.map((client) => client.close()));
  }
}, 60_000);
