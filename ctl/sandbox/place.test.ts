import { expect, test } from 'bun:test';
import { fireworkerProgram, parseEnv, sandboxDir } from './place.ts';
import { checkPorts, portOf } from './ports.ts';

test.each([
  ['/tmp/d', {}, '/tmp/d'],
  [undefined, { BOREALIS_SANDBOX: '/srv/s', HOME: '/home/u' }, '/srv/s'],
  [undefined, { HOME: '/home/u' }, '/home/u/.borealis/sandbox'],
])('--dir %s with %j is %s', (flag, env, dir) => {
  expect(sandboxDir(flag, env)).toBe(dir);
});

test('export lines, bare and quoted', () => {
  const text = `export A=http://127.0.0.1:1/\n# no\nexport B='it'\\''s here'\n`;
  expect(parseEnv(text)).toEqual({ A: 'http://127.0.0.1:1/', B: "it's here" });
});

test('a fireworker that is not there is said to be so', () => {
  expect(() => fireworkerProgram({ BOREALIS_FIREWORKER: '/no/such/file' })).toThrow('/no/such/file');
  expect(fireworkerProgram({ BOREALIS_FIREWORKER: '/bin/true' })).toEqual(['/bin/true']);
});

test.each(['-1', '65536', 'x', '1.5'])('%s is no port', (text) => {
  expect(() => portOf(text, '--port')).toThrow(`--port ${text}`);
});

test('a port that is taken is named, with the flag that chooses another', () => {
  const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  expect(() => checkPorts({ '--mongo-port': taken.port })).toThrow(
    `Port ${taken.port} is taken by another program. Choose another one: --mongo-port N`,
  );
  taken.stop(true);
  expect(() => checkPorts({ '--mongo-port': taken.port, '--port': 0 })).not.toThrow();
});
