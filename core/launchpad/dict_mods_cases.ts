/** Modifications, for dict_mods.test.ts and for tests/dict_mods_as_python.e2e.ts, which asks Python for the same. */

/** What a modification makes of a dictionary. */
export const MODS: [mod: string, before: string, after: string][] = [
  ['{"_set": {"a": 1}}', '{}', '{"a": 1}'],
  ['{"_set": {"a": 1.0}}', '{"a": 2}', '{"a": 1.0}'],
  ['{"_set": {"a->b->c": [1]}}', '{}', '{"a": {"b": {"c": [1]}}}'],
  ['{"_set": {"a->b": null}}', '{"a": {"x": 1}}', '{"a": {"x": 1, "b": null}}'],
  ['{"_set": {"a": 1, "b": 2}, "_unset": {"a": ""}}', '{}', '{"b": 2}'],
  ['{"_set": {"a.b": 1}}', '{}', '{"a.b": 1}'],
  [
    '{"_set": {"constructor->prototype": 1, "toString": 2}}',
    '{}',
    '{"constructor": {"prototype": 1}, "toString": 2}',
  ],
  ['{"_set": {"__proto__->polluted": 1}}', '{}', '{"__proto__": {"polluted": 1}}'],
  ['{"_unset": {"a->b": 1}}', '{"a": {"b": 1, "c": 2}}', '{"a": {"c": 2}}'],
  ['{"_push": {"a": 1}}', '{}', '{"a": [1]}'],
  ['{"_push": {"a": [2]}}', '{"a": [1]}', '{"a": [1, [2]]}'],
  ['{"_push": {"a->b": 1}}', '{}', '{"a": {"b": [1]}}'],
  ['{"_push_all": {"a": [2, 3]}}', '{"a": [1]}', '{"a": [1, 2, 3]}'],
  ['{"_push_all": {"a": [2, 3]}}', '{}', '{"a": [2, 3]}'],
  ['{"_inc": {"a": 2}}', '{}', '{"a": 2}'],
  ['{"_inc": {"a": 2}}', '{"a": 1}', '{"a": 3}'],
  ['{"_inc": {"a": 1.0}}', '{"a": 1}', '{"a": 2.0}'],
  ['{"_inc": {"a": -1}}', '{"a": 0.5}', '{"a": -0.5}'],
  ['{"_inc": {"a": 1}}', '{"a": 2147483647}', '{"a": 2147483648}'],
  ['{"_inc": {"a": 1}}', '{"a": 9007199254740992}', '{"a": 9007199254740993}'],
  ['{"_inc": {"a": "b"}}', '{"a": "a"}', '{"a": "ab"}'],
  ['{"_inc": {"a": [2]}}', '{"a": [1]}', '{"a": [1, 2]}'],
  ['{"_inc": {"a->b": 1}}', '{"a": {"b": 1}}', '{"a": {"b": 2}}'],
  ['{"_add_to_set": {"a": 2}}', '{"a": [1]}', '{"a": [1, 2]}'],
  ['{"_add_to_set": {"a": 1.0}}', '{"a": [1]}', '{"a": [1]}'],
  ['{"_add_to_set": {"a": {"y": 2, "x": 1}}}', '{"a": [{"x": 1, "y": 2}]}', '{"a": [{"x": 1, "y": 2}]}'],
  ['{"_add_to_set": {"a": 2}}', '{}', '{"a": 2}'],
  ['{"_pull": {"a": 1}}', '{"a": [1, 2, 1.0, "1"]}', '{"a": [2, "1"]}'],
  ['{"_pull": {"a": 1}}', '{}', '{}'],
  ['{"_pop": {"a": 1}}', '{"a": [1, 2, 3]}', '{"a": [1, 2]}'],
  ['{"_pop": {"a": -1}}', '{"a": [1, 2, 3]}', '{"a": [2, 3]}'],
  ['{"_pop": {"a": 0}}', '{"a": [1]}', '{"a": [1]}'],
  ['{"_rename": {"a": "b"}}', '{"a": 1, "c": 2}', '{"c": 2, "b": 1}'],
  ['{"_rename": {"a->b": "c"}}', '{"a": {"b": 1}}', '{"a": {"b": 1}}'],
  ['{"_rename": {"a": "b"}}', '{}', '{}'],
];

/** What FireWorks 2.1.4 means to do and cannot: its `_pull_all` looks for `_pull` where its own decorator has hidden it. */
export const MENDED: typeof MODS = [
  ['{"_pull_all": {"a->b": [1, [2]]}}', '{"a": {"b": [1, 2, [2], 3]}}', '{"a": {"b": [2, 3]}}'],
];

/** What is refused; Python raises something. */
export const REFUSED: [mod: string, before: string, message: string][] = [
  ['{"_sett": {"a": 1}}', '{}', "'_sett' is not one of _set, _unset,"],
  ['{"toString": {"a": 1}}', '{}', "'toString' is not one of"],
  ['{"_set": 1}', '{}', '_set needs a dictionary'],
  ['{"_set": {"a->b": 1}}', '{"a": 1}', "'a' of 'a->b' is not a dictionary"],
  ['{"_set": {"a->0": 1}}', '{"a": [1]}', "'a' of 'a->0' is not a dictionary"],
  ['{"_push": {"a": 1}}', '{"a": "text"}', "'a' is not a list"],
  ['{"_push_all": {"a": 1}}', '{"a": []}', "what is said of 'a' is not a list"],
  ['{"_add_to_set": {"a": 1}}', '{"a": {}}', "'a' is not a list"],
  ['{"_pull": {"a": 1}}', '{"a": 1}', "'a' is not a list"],
  ['{"_pull_all": {"a": [1]}}', '{"a": 1}', "'a' is not a list"],
  ['{"_pop": {"a": 1}}', '{}', "'a' is not a list"],
  ['{"_inc": {"a": "x"}}', '{"a": 1}', '_inc cannot add "x" to 1'],
  ['{"_inc": {"a": 1}}', '{"a": null}', '_inc cannot add 1 to null'],
];
