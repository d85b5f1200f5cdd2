/** The contract on the MongoDB 8 that MONGODB_URI names, which has no replicas and asks for no password. */
import { test } from 'bun:test';
import { contract } from './contract.ts';

const uri = process.env.MONGODB_URI;

if (uri) contract({ name: 'MONGODB_URI', uri: async () => uri, cannot: {} });
else test.skip('the contract of sandbox/mongo on MongoDB itself: no MONGODB_URI', () => {});
