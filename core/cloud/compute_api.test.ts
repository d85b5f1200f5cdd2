import { expect, test } from 'bun:test';
import api from '@google-cloud/compute/build/protos/protos.json';
import { Root } from 'protobufjs';
import { type Description, partOf } from './compute_api.ts';

const whole = api as unknown as Description;
const typesOf = ({ nested }: Description) =>
  nested?.google?.nested?.cloud?.nested?.compute?.nested?.v1?.nested ?? {};

test('the part of the API that is used is whole in itself, as it was, and less than a tenth', () => {
  const part = partOf(whole);
  const names = Object.keys(typesOf(part));
  expect(names).toEqual(expect.arrayContaining(['Instances', 'Images', 'Instance', 'Operation']));
  for (const name of names) expect(typesOf(part)[name] === typesOf(whole)[name]).toBe(true);
  expect(names.length).toBeLessThan(Object.keys(typesOf(whole)).length / 10);
  expect(Object.keys(part.nested?.google?.nested?.cloud?.nested?.compute?.nested ?? {})).toEqual(['v1']);
  // Throws for a type that is named and not there.
  Root.fromJSON(part).resolveAll();
});

test('another layout is left as it is', () => {
  expect(partOf({ nested: {} })).toEqual({ nested: {} });
});
