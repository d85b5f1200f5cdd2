import { expect, test } from 'bun:test';
import { notByProxy } from './sandbox.ts';

test.each([
  [{}, '127.0.0.1,localhost'],
  [{ NO_PROXY: 'intranet, 10.0.0.1' }, 'intranet,10.0.0.1,127.0.0.1,localhost'],
  [{ no_proxy: 'localhost', NO_PROXY: 'other' }, 'localhost,127.0.0.1'],
])('no proxy is asked for this machine: %j', (env, expected) => {
  expect(notByProxy(env)).toEqual({ NO_PROXY: expected, no_proxy: expected });
});
