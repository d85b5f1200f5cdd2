"""Prints every command, flag, choice and default of Python's lpad, as JSON: what ours is compared with.

    python scripts/lpad_grammar.py > ctl/lpad/fireworks_grammar.json        with a Python that has FireWorks
"""

import argparse
import json
from importlib import metadata

from fireworks.scripts import lpad_run

TYPES = {"int": "integer", "arg_positive_int": "integer", "str": "text", "NoneType": "text"}


class Parsed(Exception):
    """Stops lpad as soon as its parser is complete."""


def flag(action):
    """One flag or word; its help is FireWorks' own text and stays there."""
    kind = TYPES.get(getattr(action.type, "__name__", "NoneType"), "text")
    if action.nargs == 0:
        kind = "switch"
    told = {
        "names": action.option_strings or [action.dest],
        "kind": kind,
        "many": action.nargs if isinstance(action.nargs, str) else None,
        "choices": sorted(action.choices) if action.choices else None,
        "default": None if kind == "switch" else action.default,
    }
    return {key: value for key, value in told.items() if value is not None}


def grammar(parser, prefix=""):
    """The flags of `parser`, and those of the commands below it by their names."""
    flags, commands = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                commands |= grammar(below, f"{prefix} {name}".strip())
        elif action.dest not in ("help", "version"):
            flags.append(flag(action))
    return {prefix: flags, **commands}


def stop(parser, *_):
    raise Parsed(parser)


argparse.ArgumentParser.parse_args = stop
try:
    lpad_run.lpad([])
except Parsed as parsed:
    version = metadata.version("fireworks")
    # One flag a line.
    commands = ",\n".join(
        f'    {json.dumps(name)}: [' + ",".join(f"\n      {json.dumps(one)}" for one in flags) + ("\n    ]" if flags else "]")
        for name, flags in grammar(parsed.args[0]).items()
    )
    print(f'{{\n  "fireworks": "{version}",\n  "commands": {{\n{commands}\n  }}\n}}')
