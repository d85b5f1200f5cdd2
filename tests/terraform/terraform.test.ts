/**
 * image/terraform: its files are Terraform's language, what they name is there, and the Google provider has the resources and
 * attributes that they set (schema.json). `terraform validate` does the same with the provider at hand.
 */
import { describe, expect, test } from 'bun:test';
import { run } from '../run.ts';
import { type Body, folder, readModule } from './module.ts';
import type { Schema } from './record_schema.ts';
import schemas from './schema.json';

const { resource, variable, locals, output, text } = await readModule();

const resources = Object.entries(resource).flatMap(([type, named]) =>
  Object.entries(named).map(([name, [body = {}]]) => ({ type, name, body })),
);

/** Terraform's own, in every resource. */
const META = ['count', 'for_each', 'depends_on', 'lifecycle', 'provider'];

/** Blocks by name; those of `dynamic` are what is in their content. */
function blocksOf(body: Body): Body {
  const { dynamic = {}, ...others } = body as { dynamic?: Record<string, { content: Body[] }[]> };
  const made = Object.entries(dynamic).map(([name, [block]]) => [name, block?.content]);
  return { ...others, ...Object.fromEntries(made) };
}

/** What is wrong with a block, as paths. */
function faults(given: Body, schema: Schema, path: string): string[] {
  const body = blocksOf(given);
  const set = Object.keys(body).filter((name) => !META.includes(name));
  const unknown = set
    .filter((name) => !Object.hasOwn(schema, name))
    .map((name) => `${path}.${name}: unknown`);
  const missing = Object.keys(schema)
    .filter((name) => schema[name]?.required && !set.includes(name))
    .map((name) => `${path}.${name}: missing`);
  const inside = set.flatMap((name) => {
    const block = schema[name]?.block;
    return block ? [body[name]].flat().flatMap((one) => faults(one as Body, block, `${path}.${name}`)) : [];
  });
  return [...unknown, ...missing, ...inside];
}

test.each(resources)('the provider has what $type.$name sets', ({ type, name, body }) => {
  const schema = (schemas as Record<string, Schema>)[type];
  expect(schema && Object.keys(schema).length).toBeGreaterThan(3);
  expect(faults(body, schema as Schema, `${type}.${name}`)).toEqual([]);
});

test('a slip would be found', () => {
  const schema = (schemas as unknown as Record<string, Schema>).google_compute_firewall as Schema;
  const body = { name: 'n', netwerk: 'x', allow: [{ ports: ['1'] }] };
  expect(faults(body, schema, 'f').sort()).toEqual([
    'f.allow.protocol: missing',
    'f.netwerk: unknown',
    'f.network: missing',
  ]);
});

describe('what is named is there', () => {
  // Neither quoted words nor comments name anything, but for what stands in ${}.
  const code = text
    .replace(/#.*$/gm, '')
    .replace(/"(?:[^"\\]|\\.)*"/g, (quoted) =>
      [...quoted.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(' '),
    );

  test('variables, and each is used', () => {
    const used = new Set([...code.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name as string));
    expect([...used].sort()).toEqual(Object.keys(variable).sort());
  });

  test('locals, and each is used', () => {
    const used = new Set([...code.matchAll(/\blocal\.(\w+)/g)].map(([, name]) => name as string));
    expect([...used].sort()).toEqual(locals.flatMap((body) => Object.keys(body)).sort());
  });

  test('resources', () => {
    const named = [...code.matchAll(/\b(google_\w+)\.(\w+)/g)].map(([, type = '', name = '']) => ({
      type,
      name,
    }));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter(({ type, name }) => !resource[type]?.[name])).toEqual([]);
  });

  test('each variable and output says what it is for', () => {
    for (const [name, [body]] of [...Object.entries(variable), ...Object.entries(output)])
      expect([name, typeof body?.description]).toEqual([name, 'string']);
  });
});

/** An expression, as it is read. */
const ref = (expression: string) => `\${${expression}}`;

test('workers have no other roles than these, and none on the project that reads or writes data', () => {
  const roles = resources
    .filter(({ body }) => body.member === ref('local.worker'))
    .map(({ type, name, body }) => `${type}.${name}: ${body.role}`);
  expect(roles.sort()).toEqual([
    'google_artifact_registry_repository_iam_member.worker: roles/artifactregistry.reader',
    `google_project_iam_member.leaver: ${ref('google_project_iam_custom_role.leaver.id')}`,
    `google_project_iam_member.worker: ${ref('each.key')}`,
    'google_secret_manager_secret_iam_member.worker: roles/secretmanager.secretAccessor',
    'google_storage_bucket_iam_member.worker: roles/storage.objectUser',
  ]);
  const onProject = resource.google_project_iam_member?.worker?.[0]?.for_each;
  expect(onProject).toBe(ref('toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])'));
  const own = resource.google_project_iam_custom_role?.leaver?.[0]?.permissions;
  expect(own).toEqual(['compute.instances.delete']);
});

const terraform = ['terraform', 'tofu'].find((program) => Bun.which(program));
test.skipIf(!terraform)(`is formatted${terraform ? '' : ' (needs terraform or tofu)'}`, async () => {
  await run([terraform as string, 'fmt', '-check', '-diff', folder]);
});

const shellcheck = Bun.which('shellcheck');
test.skipIf(!shellcheck)(`mongodb.sh has no slips${shellcheck ? '' : ' (needs shellcheck)'}`, async () => {
  await run([shellcheck as string, `${folder}/mongodb.sh`]);
});
