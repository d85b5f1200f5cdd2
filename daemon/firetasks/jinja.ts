/**
 * Jinja2 templates by nunjucks, which is much like it, and mended where JavaScript would show through: what a value looks
 * like (`True`, `1.0`, `[1, 2]`), which values count as false, what is escaped, how far `set` reaches, and an error for an
 * attribute of what is not defined. Nothing else in this program uses nunjucks.
 */
import type { Doc } from '../../core/launchpad/index.ts';
import { FiretaskError, fail } from './firetask.ts';
import { arithmetic, FILTERS, STRING_METHODS } from './jinja_filters.ts';
import { contextOf, escaped, iterable, jsonForHtml, shown, truth } from './jinja_values.ts';

type Nunjucks = typeof import('nunjucks');

/** What is used of the engine's inside. */
interface Node {
  lineno: number;
  colno: number;
  cond: Node;
  left: Node;
  right: Node;
  target: Node;
  arr: Node;
  else_: Node | null;
  children: Node[];
  targets: Node[];
}
type Make = new (lineno: number, colno: number, ...fields: unknown[]) => Node;
interface Compiler {
  _emit(code: string): void;
  compile(node: Node, frame: unknown): void;
  _compileAggregate(node: Node, frame: unknown, open: string, close: string): void;
}
type Compile = (this: Compiler, node: Node, frame: unknown, more?: unknown) => void;
interface Frame {
  push(isolated?: boolean): Frame;
}
interface Inside {
  compiler: { Compiler: { prototype: Record<string, Compile> } };
  nodes: Record<'Filter' | 'Symbol' | 'NodeList' | 'InlineIf', Make>;
  runtime: {
    Frame: (new (parent: Frame, isolated: boolean) => Frame) & { prototype: Frame };
    SafeString: new (text: string) => object;
    suppressValue(value: unknown): unknown;
    memberLookup(value: unknown, key: string | number, ...slice: unknown[]): unknown;
    fromIterator(value: unknown): unknown;
    arithmetic?(operator: string, left: unknown, right: unknown): unknown;
    concat?(left: unknown, right: unknown): string;
  };
}

let loaded: Promise<Nunjucks> | undefined;

/** Renders a template. Others that it includes or extends are in `folder`. */
export async function renderJinja(source: string, context: Doc, folder: string): Promise<string> {
  loaded ??= load();
  const nunjucks = await loaded;
  const loader = new nunjucks.FileSystemLoader(folder);
  const read = loader.getSource.bind(loader);
  loader.getSource = (name) => {
    const found = read(name);
    return found && { ...found, src: asJinjaReads(found.src) };
  };
  const environment = new nunjucks.Environment(loader, { autoescape: true, dev: true });
  for (const [name, filter] of Object.entries(FILTERS)) environment.addFilter(name, filter);
  for (const name of ['e', 'escape']) environment.addFilter(name, (value) => safe(nunjucks, escaped(value)));
  environment.addFilter('safe', (value) => safe(nunjucks, shown(value)));
  environment.addFilter('truth', truth);
  environment.addFilter('tojson', (value) => safe(nunjucks, jsonForHtml(value)));
  const template = compiled(nunjucks, source, environment);
  try {
    return template.render(contextOf(context) as Doc);
  } catch (thrown) {
    const { cause = thrown } = thrown as Error;
    if (cause instanceof FiretaskError) throw cause;
    const why = reason(thrown);
    return fail(/filter not found/.test(why) ? 'TemplateAssertionError' : 'UndefinedError', why);
  }
}

/** One newline at the end of a file is no part of the template. */
const asJinjaReads = (text: string) => text.replace(/\r\n?/g, '\n').replace(/\n$/, '');

function compiled(nunjucks: Nunjucks, source: string, environment: import('nunjucks').Environment) {
  try {
    return new nunjucks.Template(asJinjaReads(source), environment, 'template', true);
  } catch (thrown) {
    return fail('TemplateSyntaxError', reason(thrown));
  }
}

/** Without the engine's own name for the template. */
function reason(thrown: unknown): string {
  return String((thrown as Error).message)
    .replace(/^\(.*?\) */, '')
    .replace(/\s+/g, ' ')
    .replace(/^ ?(\w*Error: )?/, '');
}

function safe({ runtime }: Nunjucks, text: string): object {
  return new (runtime as unknown as Inside['runtime']).SafeString(text);
}

async function load(): Promise<Nunjucks> {
  const nunjucks = (await import('nunjucks')).default;
  nunjucks.installJinjaCompat();
  const { compiler, nodes, runtime } = nunjucks as unknown as Inside;
  mendCompiler(compiler.Compiler.prototype, nodes);
  const { Frame, SafeString, memberLookup, fromIterator } = runtime;
  // What a loop sets is gone after it.
  Frame.prototype.push = function () {
    return new Frame(this, true);
  };
  runtime.arithmetic = arithmetic;
  runtime.concat = (left, right) => shown(left) + shown(right);
  runtime.suppressValue = (value) => (value instanceof SafeString ? value : escaped(value));
  runtime.fromIterator = (value) => iterable(fromIterator(value));
  runtime.memberLookup = function (value, key, ...slice) {
    if (value === undefined) throw new Error(`'${key}' is asked of something that is undefined`);
    if (slice.length > 0) return sliced(value, [key, ...slice]);
    if (typeof value !== 'string' && !Array.isArray(value)) return memberLookup.call(this, value, key);
    if (Number.isInteger(key)) return value.at(key as number);
    const method = typeof value === 'string' ? STRING_METHODS[key] : undefined;
    if (method) return (...args: string[]) => method(value as string, ...args);
    // A text has no members of JavaScript's.
    return typeof value === 'string' ? undefined : memberLookup.call(this, value, key);
  };
  return nunjucks;
}

/** `value[start:stop:step]`. The engine's own knows lists only. */
function sliced(value: unknown, [start, stop, step]: unknown[]): unknown {
  const list = value as string | unknown[];
  const [from, to] = [start ?? undefined, stop ?? undefined] as (number | undefined)[];
  if (step == null || step === 1) return list.slice(from, to);
  return fail('TemplateRuntimeError', 'a slice with a step is not known here');
}

function mendCompiler(prototype: Record<string, Compile>, nodes: Inside['nodes']): void {
  const filtered = (node: Node): Node => {
    const { lineno, colno } = node;
    const name = new nodes.Symbol(lineno, colno, 'truth');
    return new nodes.Filter(lineno, colno, name, new nodes.NodeList(lineno, colno, [node]));
  };
  for (const name of ['compileIf', 'compileInlineIf']) {
    const compile = prototype[name] as Compile;
    prototype[name] = function (node, frame, more) {
      const cond = node.cond;
      node.cond = filtered(cond);
      compile.call(this, node, frame, more);
      node.cond = cond;
    };
  }
  const inlineIf = prototype.compileInlineIf as Compile;
  const choose = (of: Node, body: Node, otherwise: Node) =>
    new nodes.InlineIf(of.lineno, of.colno, of.left, body, otherwise);
  prototype.compileOr = function (node, frame) {
    inlineIf.call(this, choose(node, node.left, node.right), frame);
  };
  prototype.compileAnd = function (node, frame) {
    inlineIf.call(this, choose(node, node.right, node.left), frame);
  };
  const group = prototype.compileGroup as Compile;
  prototype.compileGroup = function (node, frame) {
    if (node.children.length === 1) group.call(this, node, frame);
    else this._compileAggregate(node, frame, '[', ']');
  };
  const capture = prototype.compileCapture as Compile;
  prototype.compileCapture = function (node, frame) {
    this._emit('runtime.markSafe(');
    capture.call(this, node, frame);
    this._emit(')');
  };
  const loop = prototype.compileFor as Compile;
  prototype.compileFor = function (node, frame) {
    if (node.arr instanceof nodes.InlineIf && node.arr.else_ === null)
      throw new Error('`for ... if` is not known here: put an `if` into the loop');
    loop.call(this, node, frame);
  };
  const set = prototype.compileSet as Compile;
  prototype.compileSet = function (node, frame) {
    if (!node.targets.every((target) => target instanceof nodes.Symbol))
      throw new Error('`set` of an attribute, as of a namespace, is not known here');
    set.call(this, node, frame);
  };
  prototype.compileConcat = function (node, frame) {
    this._emit('runtime.concat(');
    this.compile(node.left, frame);
    this._emit(', ');
    this.compile(node.right, frame);
    this._emit(')');
  };
  prototype.compileNot = function (node, frame) {
    this._emit('!');
    this.compile(filtered(node.target), frame);
  };
  for (const [name, operator] of [
    ['compileAdd', '+'],
    ['compileSub', '-'],
    ['compileMul', '*'],
    ['compileDiv', '/'],
    ['compileMod', '%'],
  ] as const)
    prototype[name] = function (node, frame) {
      this._emit(`runtime.arithmetic('${operator}', `);
      this.compile(node.left, frame);
      this._emit(', ');
      this.compile(node.right, frame);
      this._emit(')');
    };
}
