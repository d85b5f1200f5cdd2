/**
 * Records which attributes the Google provider's resources have that image/terraform uses: for whoever changes that module.
 * Terraform itself validates only with the provider at hand, which its registry alone has; npm has this description of it.
 *
 *     npm pack @cdktf/provider-google@16.12.1 && tar xzf cdktf-provider-google-16.12.1.tgz
 *     npx bun tests/terraform/record_schema.ts package
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readModule } from './module.ts';

/** By name: an attribute, or a block with its own. */
export type Schema = { [name: string]: { required: boolean; block?: Schema } };

/** Reads the declarations of one resource: its interface of arguments, and those of its blocks. */
function schemaOf(declarations: string): Schema {
  const interfaces = new Map<string, string>();
  let arguments_ = '';
  for (const [, name = '', extended = '', body = ''] of declarations.matchAll(
    /^export interface (\w+)( extends [\w.]+)? \{\n([\s\S]*?)^\}/gm,
  )) {
    interfaces.set(name, body);
    if (extended) arguments_ = body;
  }
  const read = (body: string): Schema => {
    const found: Schema = {};
    const field = /docs\/resources\/\w+#(\w+) [^}]*\}[\s\S]*?readonly \w+(\??): ([^;]+);/g;
    for (const [, name = '', optional, type = ''] of body.matchAll(field)) {
      const block = interfaces.get(/^\w+/.exec(type)?.[0] ?? '');
      found[name] = { required: optional === '', ...(block !== undefined && { block: read(block) }) };
    }
    return found;
  };
  return read(arguments_);
}

const [folder] = process.argv.slice(2);
if (!folder) throw new Error('usage: bun tests/terraform/record_schema.ts FOLDER');
const { resource } = await readModule();
const schemas: Record<string, Schema> = {};
for (const type of Object.keys(resource).sort()) {
  const file = join(folder, 'lib', type.replace(/^google_/, '').replaceAll('_', '-'), 'index.d.ts');
  schemas[type] = schemaOf(await readFile(file, 'utf8'));
}
await writeFile(join(import.meta.dir, 'schema.json'), `${JSON.stringify(schemas, null, 1)}\n`);
