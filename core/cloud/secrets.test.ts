import { expect, test } from 'bun:test';
import { testCloud } from '../../sandbox/gcp/test_cloud.ts';
import { readEndpoints } from './endpoints.ts';
import { secretName, withSecrets } from './secrets.ts';

test('attributes that name a secret get it, at its latest version or another', async () => {
  await using cloud = await testCloud();
  for (const value of ['old', 'pass=wörd']) cloud.secrets.add('pw', value);
  const attributes = {
    db: 'analysis',
    password: 'secret:projects/sandbox/secrets/pw',
    host: 'secret:projects/sandbox/secrets/pw/versions/1',
  };
  cloud.faults.add({ service: 'secrets', status: 503 });
  const delays: number[] = [];
  const sleep = async (ms: number) => delays.push(ms) > 0;
  expect(await withSecrets(attributes, readEndpoints(cloud.env), { sleep, random: () => 0.5 })).toEqual({
    db: 'analysis',
    password: 'pass=wörd',
    host: 'old',
  });
  expect(delays).toEqual([500]);
});

test('a secret that is not there, or may not be read, is named', async () => {
  await using cloud = await testCloud();
  const read = (value: string) => withSecrets({ password: value }, readEndpoints(cloud.env));
  await expect(read('secret:projects/sandbox/secrets/none')).rejects.toThrow(
    'Cannot read the secret projects/sandbox/secrets/none/versions/latest: Secret Version [projects/sandbox/secrets/none/versions/latest] not found',
  );
  cloud.faults.add({ service: 'secrets', status: 403 });
  await expect(read('secret:projects/sandbox/secrets/pw')).rejects.toThrow('needs the permission');
});

test.each(['secret:pw', 'secret:projects/p/secrets/', 'secret:projects/p/secrets/s/versions/new'])(
  '%s is told to be written wrongly',
  (value) => {
    expect(() => secretName('password', value)).toThrow('must be secret:projects/PROJECT/secrets/NAME');
  },
);
