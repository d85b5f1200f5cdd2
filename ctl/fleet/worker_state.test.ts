import { expect, test } from 'bun:test';
import { workerState } from './worker_state.ts';

const flight = { fwId: 1, name: 'fw', since: null };

test.each([
  ['PROVISIONING', {}, [], 'booting'],
  ['STAGING', { quit: 'soon' }, [], 'booting'],
  ['RUNNING', {}, [flight], 'flying'],
  ['RUNNING', {}, [], 'idle'],
  ['RUNNING', {}, null, '?'],
  ['RUNNING', { quit: 'soon' }, [flight], 'finishing'],
  ['RUNNING', { quit: 'soon' }, null, 'leaving'],
  ['RUNNING', { quit: 'when-idle' }, [], 'last'],
  ['RUNNING', { quit: 'when-idle' }, [flight], 'flying'],
  ['STOPPING', {}, [flight], 'gone'],
  ['TERMINATED', {}, [], 'gone'],
] as const)('%s %j %j: %s', (status, metadata, flights, state) => {
  expect(workerState({ status, metadata: metadata as Record<string, string> }, flights)).toBe(state);
});
