/** The contract on the one-machine LaunchPad. */
import { afterAll } from 'bun:test';
import { type Mongo, startMongo } from '../server.ts';
import { contract } from './contract.ts';

let mongo: Promise<Mongo> | null = null;
afterAll(async () => (await mongo)?.stop());

contract({
  name: 'one-machine LaunchPad',
  async uri() {
    mongo ??= startMongo();
    return (await mongo).uri;
  },
  cannot: {},
});
