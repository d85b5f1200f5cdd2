/**
 * Google's clients of Compute, knowing only the part of the API that is used here. Each describes the whole API, in three
 * versions, to protobufjs: 1.2 s of processor time in every command about VMs, and at the end of every VM, before its first
 * request. Of what five services need, a tenth of one version, that takes less than 0.1 s.
 */
import type { ClientOptions } from 'google-gax';

/** Those whose clients are made here. */
const SERVICES = ['Instances', 'RegionInstances', 'ZoneOperations', 'RegionOperations', 'Images'];

/** What of Google's library below the clients (`google-gax`) is meant here. */
type Gax = typeof import('google-gax/fallback');

export type ComputeClient<C> = new (options: ClientOptions, gax: Gax['fallback']) => C;

/** Makes one of these services' clients. */
export async function computeClient<C>(Client: ComputeClient<C>, options: ClientOptions): Promise<C> {
  partialGax ??= loadPartialGax();
  return new Client(options, await partialGax);
}

let partialGax: Promise<Gax['fallback']> | undefined;

/** The library, describing a part of what a client gives it. To be given one is what Google's clients offer. */
async function loadPartialGax(): Promise<Gax['fallback']> {
  const gax = await import('google-gax/fallback');
  class PartialGrpcClient extends gax.GrpcClient {
    override loadProtoJSON(description: Description, ignoreCache?: boolean) {
      return super.loadProtoJSON(partOf(description), ignoreCache);
    }
  }
  // A client that speaks JSON takes the library's `fallback`, of the one that it is given.
  const fallback = { ...gax.fallback, GrpcClient: PartialGrpcClient };
  return { ...fallback, fallback } as Gax['fallback'];
}

/** An API as protobufjs has it described: messages and services by name, in packages by name. */
export interface Description {
  nested?: Record<string, Description>;
}

const PACKAGE = ['google', 'cloud', 'compute'];
/** That of the clients. Two others, `v1beta` and `v1small`, are described beside it. */
const VERSION = 'v1';

/** Of a description of Compute: these services, what they name, what that names, and so on. */
export function partOf(compute: Description, services = SERVICES): Description {
  return withPackage(compute, PACKAGE, (versions) => {
    const whole = versions.nested?.[VERSION] ?? {};
    const all = whole.nested ?? {};
    const part: Record<string, Description> = {};
    const left = services.filter((name) => Object.hasOwn(all, name));
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const its = all[name] as Description;
      if (part[name]) continue;
      part[name] = its;
      // Any text that may be a name: one too many does no harm.
      for (const [, text = ''] of JSON.stringify(its).matchAll(/"([\w.]+)"/g))
        left.push(...text.split('.').filter((word) => Object.hasOwn(all, word)));
    }
    return { ...versions, nested: { [VERSION]: { ...whole, nested: part } } };
  });
}

/** The description with one of its packages changed; as it is, when it has none such. */
function withPackage(
  at: Description,
  [name, ...below]: string[],
  change: (found: Description) => Description,
): Description {
  if (name === undefined) return change(at);
  const next = at.nested?.[name];
  return next ? { ...at, nested: { ...at.nested, [name]: withPackage(next, below, change) } } : at;
}
