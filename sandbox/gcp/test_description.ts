/**
 * For tests: compares JSON answers with the API descriptions inside Google's own client libraries (protobuf, as JSON). Every
 * field must be described, and have the described type; a name that stands for an enum must be one of its names.
 */
import { resolve } from 'node:path';
import protobuf from 'protobufjs';

const libraries = resolve(import.meta.dir, '..', '..', 'node_modules', '@google-cloud');

export type Description = protobuf.Root;

/** The description inside a library: `compute`, or `logging-api`. */
export async function describedBy(library: string): Promise<Description> {
  const file = Bun.file(resolve(libraries, library, 'build', 'protos', 'protos.json'));
  return protobuf.Root.fromJSON(await file.json());
}

/** What in `value` is not as `type` describes it; nothing when all is well. */
export function deviations(value: unknown, type: protobuf.Type, path = type.name): string[] {
  // Messages with a JSON form of their own. https://protobuf.dev/programming-guides/json/
  if (type.fullName === '.google.protobuf.Timestamp')
    return Number.isNaN(Date.parse(String(value))) ? [`${path}: no time: ${value}`] : [];
  if (type.fullName === '.google.protobuf.Struct') return isObject(value) ? [] : [`${path}: no object`];
  if (!isObject(value)) return [`${path}: no ${type.name}: ${JSON.stringify(value)}`];
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = type.fields[key];
    if (!field) return [`${path}.${key}: no field of ${type.name}`];
    field.resolve();
    const at = `${path}.${key}`;
    if (field.map)
      return isObject(inner)
        ? Object.entries(inner).flatMap(([name, one]) => fieldDeviations(one, field, `${at}[${name}]`))
        : [`${at}: no dictionary`];
    if (field.repeated)
      return Array.isArray(inner)
        ? inner.flatMap((one, i) => fieldDeviations(one, field, `${at}[${i}]`))
        : [`${at}: no list`];
    return fieldDeviations(inner, field, at);
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldDeviations(value: unknown, field: protobuf.Field, path: string): string[] {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) return deviations(value, resolvedType, path);
  const names = resolvedType ?? enumOf(field);
  if (names) {
    const known = typeof value === 'string' && value in names.values;
    return known ? [] : [`${path}: ${JSON.stringify(value)} is none of ${Object.keys(names.values)}`];
  }
  return isScalar(value, field.type) ? [] : [`${path}: no ${field.type}: ${JSON.stringify(value)}`];
}

/** Compute's enums are fields of type string, beside an enum of the field's name. */
function enumOf(field: protobuf.Field): protobuf.Enum | null {
  const name = field.name.slice(0, 1).toUpperCase() + field.name.slice(1);
  const found = field.type === 'string' ? field.parent?.get(name) : null;
  return found instanceof protobuf.Enum ? found : null;
}

/** 64-bit numbers are text in JSON. */
function isScalar(value: unknown, type: string): boolean {
  if (type === 'bool') return typeof value === 'boolean';
  if (/^u?int64$|fixed64$/.test(type)) return typeof value === 'string' && /^-?\d+$/.test(value);
  if (/^(u?int32|float|double)$/.test(type)) return typeof value === 'number';
  return typeof value === 'string';
}
