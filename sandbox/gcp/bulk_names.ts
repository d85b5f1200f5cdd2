import { badRequest } from './http.ts';

/**
 * The names that bulkInsert makes: those of perInstanceProperties, and numbered ones by namePattern (`demo-###`), from the
 * number after the greatest that is `taken`. Throws ApiError 400.
 */
export function bulkNames(body: Record<string, unknown>, taken: readonly string[]): string[] {
  const own = Object.keys((body.perInstanceProperties ?? {}) as object);
  const count = Number(body.count ?? own.length);
  if (!Number.isInteger(count) || count < 1 || count > 1000)
    throw badRequest(`Invalid value for field 'resource.count': '${body.count}'. Must be 1 to 1000`);
  if (own.length > count)
    throw badRequest("Invalid value for field 'resource.perInstanceProperties': more than resource.count");
  if (own.length === count) return own;
  const pattern = String(body.namePattern ?? '');
  const [before, hashes, after] = /^([^#]*)(#{1,18})([^#]*)$/.exec(pattern)?.slice(1) ?? [];
  if (before === undefined || hashes === undefined || after === undefined)
    throw badRequest(
      `Invalid value for field 'resource.namePattern': '${pattern}'. Must contain one sequence of #`,
    );
  const numbers = taken
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .map((name) => Number(name.slice(before.length, name.length - after.length)))
    .filter(Number.isInteger);
  const first = Math.max(0, ...numbers) + 1;
  const numbered = Array.from(
    { length: count - own.length },
    (_, i) => before + String(first + i).padStart(hashes.length, '0') + after,
  );
  return [...own, ...numbered];
}
