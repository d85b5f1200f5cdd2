/** A workflow as a program builds it: Fireworks, each of which knows its parents. */
import { Scalar, stringify } from 'yaml';
import { BorealisError } from '../core/errors.ts';
import {
  type Doc,
  isDoc,
  type NewWorkflow,
  plain,
  readWorkflowFile,
  toJson,
} from '../core/launchpad/index.ts';
import { isDouble } from '../core/launchpad/values.ts';
import type { Firetask } from './firetasks.ts';
import { Firework, stored } from './firework.ts';

export interface WorkflowOptions {
  /** `unnamed WF` when left out, as in FireWorks. */
  name?: string;
  metadata?: Readonly<Record<string, unknown>>;
}

/** A workflow as it stands in a file that `lpad add` and Python's `Workflow.from_file` read. */
export interface WorkflowDocument {
  name: string;
  metadata: Record<string, unknown>;
  fws: { fw_id: number; name: string; spec: Firework['spec'] }[];
  links: Record<string, number[]>;
}

export class Workflow {
  readonly fireworks: readonly Firework[];
  readonly name: string;
  readonly metadata: Readonly<Record<string, unknown>>;

  /** Throws BorealisError for no Fireworks, one that is there twice, or one whose parent is missing. */
  constructor(fireworks: readonly Firework[], o: WorkflowOptions = {}) {
    this.fireworks = [...fireworks];
    this.name = o.name ?? 'unnamed WF';
    const at = `Workflow '${this.name}'`;
    this.metadata = stored(o.metadata ?? {}, `${at}: metadata`) as Doc;
    if (fireworks.length === 0) throw new BorealisError(`${at}: it needs at least one Firework`);
    const own = new Set<Firework>();
    for (const firework of fireworks) {
      if (own.has(firework)) throw new BorealisError(`${at}: Firework '${firework.name}' is in it twice`);
      own.add(firework);
    }
    for (const { name, parents } of fireworks) {
      const missing = parents.find((parent) => !own.has(parent));
      if (missing)
        throw new BorealisError(
          `${at}: '${missing.name}', a parent of Firework '${name}', is not in the workflow`,
        );
    }
    Object.freeze(this);
  }

  /** Reads and checks a YAML or JSON file, Python's included. Throws UsageError with the place of what is wrong. */
  static async fromFile(path: string): Promise<Workflow> {
    return fromNew(await readWorkflowFile(path));
  }

  /** The workflow as a document. The Fireworks get the ids 1, 2, 3... in their order; a LaunchPad gives them new ones. */
  toDocument(): WorkflowDocument {
    const ids = new Map(this.fireworks.map((firework, i) => [firework, i + 1]));
    const idOf = (firework: Firework) => ids.get(firework) as number;
    const links: Record<string, number[]> = Object.fromEntries([...ids.values()].map((id) => [id, []]));
    for (const firework of this.fireworks)
      for (const parent of firework.parents) links[idOf(parent)]?.push(idOf(firework));
    return {
      name: this.name,
      metadata: { ...this.metadata },
      fws: this.fireworks.map((firework) => ({
        fw_id: idOf(firework),
        name: firework.name,
        spec: firework.spec,
      })),
      links,
    };
  }

  /** The text of a JSON file that `lpad add` and Python read. */
  toJson(): string {
    return `${toJson(this.toDocument(), 2)}\n`;
  }

  /** The same in YAML. Texts are quoted, so that YAML 1.1 and 1.2 read them alike. */
  toYaml(): string {
    return stringify(forYaml(this.toDocument()), {
      version: '1.1',
      defaultStringType: 'QUOTE_DOUBLE',
      defaultKeyType: 'PLAIN',
      aliasDuplicateObjects: false,
      lineWidth: 0,
    });
  }
}

/** The Fireworks of a file, each made after its parents, in the order of the file. */
function fromNew({ fireworks, links, name, metadata }: NewWorkflow): Workflow {
  const made = new Map<number, Firework>();
  const waiting = new Map(fireworks.map((firework) => [firework.fwId, firework]));
  const parents = new Map(fireworks.map(({ fwId }) => [fwId, [] as number[]]));
  for (const [parent, children] of links) for (const child of children) parents.get(child)?.push(parent);
  const open = new Map([...parents].map(([id, own]) => [id, own.length]));
  const ready = fireworks.map(({ fwId }) => fwId).filter((id) => open.get(id) === 0);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    const { name: own, spec } = waiting.get(id) as NewWorkflow['fireworks'][number];
    const { _tasks, ...rest } = spec;
    const madeParents = (parents.get(id) ?? []).map((parent) => made.get(parent) as Firework);
    made.set(id, new Firework(_tasks as Firetask[], { name: own, spec: rest, parents: madeParents }));
    for (const child of links.get(id) ?? []) {
      const left = (open.get(child) as number) - 1;
      open.set(child, left);
      if (left === 0) ready.push(child);
    }
  }
  return new Workflow(
    fireworks.map(({ fwId }) => made.get(fwId) as Firework),
    { name, metadata },
  );
}

/** 1.0 stays a float to the Python that reads it. */
function forYaml(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forYaml);
  if (isDoc(value))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, forYaml(inner)]));
  if (!isDouble(value) || !Number.isInteger(value.value)) return plain(value);
  const scalar = new Scalar(value.value);
  scalar.minFractionDigits = 1;
  return scalar;
}
