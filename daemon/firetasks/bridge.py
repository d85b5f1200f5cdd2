"""Runs one Firetask, or asks one duplicate finder, for a worker that is not written in Python.

Reads one JSON document from standard input and writes one line to file descriptor 3: the answer, or {"error": {...}}.
In a container it is given the names of two files instead: bridge.py QUESTION ANSWER. Ends with exit code 1 after an error.

    {"task": parameters, "spec": fw_spec, ...}                  -> {"action": FWAction or null}
    {"finder": parameters, "spec": fw_spec}                     -> {"query": MongoDB query, "verifies": true or false}
    {"finder": parameters, "spec": fw_spec, "others": [specs]}  -> {"equal": [true or false, for each]}

Standard output and error are the task's own. Works without the fireworks package for PyTask, and for classes of modules
that do without it; with it for everything that FireWorks can find.
"""
import builtins
import datetime
import fcntl
import importlib
import json
import os
import sys
import traceback


class SetupError(Exception):
    """What the person who set up this machine can mend."""


def plain_action(output):
    """An FWAction as a dictionary, whichever class it has."""
    return output.to_dict() if hasattr(output, "to_dict") else output


def is_action(output):
    return type(output).__name__ == "FWAction" and hasattr(output, "to_dict")


def restored(value):
    """FireWorks makes datetimes of strings that are dates, and objects of monty's dictionaries, before a task sees them."""
    if isinstance(value, dict):
        if "@module" in value and "@class" in value:
            try:
                from monty.json import MontyDecoder
            except ImportError:
                return value
            return MontyDecoder().process_decoded(value)
        return {key: restored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [restored(inner) for inner in value]
    if isinstance(value, str) and "T" in value:
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError:
            pass
    return value


def function_named(name):
    module, _, function = name.rpartition(".")
    if not module:
        if not hasattr(builtins, function):
            raise SetupError("PyTask: there is no built-in function '%s'" % function)
        return getattr(builtins, function)
    loaded = importlib.import_module(module)
    try:
        return getattr(loaded, function)
    except AttributeError:
        raise AttributeError("module '%s' has no attribute '%s'" % (module, function)) from None


OWN = ("func", "args", "kwargs", "auto_kwargs", "stored_data_varname", "inputs", "outputs", "chunk_number")


def py_task(task, spec):
    """As FireWorks' own, which is not loaded: that would take a second."""
    task, spec = restored(task), restored(spec)
    args = list(task.get("args") or []) + [spec[key] for key in task.get("inputs") or []]
    if task.get("auto_kwargs"):
        kwargs = {k: v for k, v in task.items() if not k.startswith("_") and k not in OWN}
    else:
        kwargs = task.get("kwargs") or {}
    output = function_named(task["func"])(*args, **kwargs)
    if is_action(output):
        return plain_action(output)
    outputs = task.get("outputs") or []
    action = {}
    if len(outputs) == 1 and task.get("chunk_number") is not None:
        items = output if isinstance(output, (list, tuple, set)) else [output]
        action["mod_spec"] = [{"_push": {outputs[0]: item}} for item in items]
    elif len(outputs) == 1:
        action["update_spec"] = {outputs[0]: output}
    elif outputs:
        if not isinstance(output, (list, tuple, set)) or len(output) != len(outputs):
            raise ValueError("PyTask: the function must return %d values, for %s" % (len(outputs), ", ".join(outputs)))
        action["update_spec"] = dict(zip(outputs, output))
    if task.get("stored_data_varname"):
        action["stored_data"] = {task["stored_data_varname"]: output}
    return action or None


def needs_fireworks(name):
    return SetupError(
        "Firetask '%s' needs the Python package fireworks in %s: %s -m pip install fireworks"
        % (name, sys.executable, sys.executable)
    )


def class_named(name):
    """The class that {{module.Class}} names; None when its module has no such class (it may have moved)."""
    module, _, cls = name.strip("{} ").rpartition(".")
    if not module:
        raise SetupError("'%s' names no module: it must be {{module.Class}}" % name)
    try:
        return getattr(importlib.import_module(module), cls, None)
    except ModuleNotFoundError as e:
        missing = e.name or ""
        if (module + ".").startswith(missing + "."):
            why = "there is no module '%s'" % missing
        elif missing.split(".")[0] == "fireworks":
            raise needs_fireworks(name) from None
        else:
            why = "the module '%s' needs '%s', which is not there" % (module, missing)
        raise SetupError(unknown(name, why)) from None


def unknown(name, why):
    return (
        "Firetask '%s' is not known to this worker, nor to the Python that it asks (%s): %s. Correct _fw_name, or"
        " install the package that defines it there" % (name, sys.executable, why)
    )


def object_of(params):
    """A Firetask or a duplicate finder, as FireWorks' `load_object` makes it."""
    name = params.get("_fw_name") or ""
    explicit = name.startswith("{{") and name.endswith("}}")
    cls = class_named(name) if explicit else None
    if cls is not None:
        return cls.from_dict(dict(params)) if hasattr(cls, "from_dict") else cls(params)
    try:
        from fireworks.utilities.exceptions import FWSerializationError
        from fireworks.utilities.fw_serializers import load_object
    except ImportError:
        if explicit:
            raise SetupError(unknown(name, "its module has no such class")) from None
        raise needs_fireworks(name) from None
    try:
        return load_object(dict(params))
    except (ImportError, FWSerializationError) as e:
        raise SetupError(unknown(name, "its module has no such class" if explicit else e)) from e


def any_task(task, spec, request):
    loaded = object_of(task)
    if spec.get("_add_launchpad_and_fw_id"):
        from fireworks.core.launchpad import LaunchPad

        # A rocket that flies offline has no LaunchPad.
        loaded.fw_id = request["fw_id"]
        loaded.launchpad = LaunchPad(**request["launchpad"]) if request.get("launchpad") else None
    if spec.get("_add_fworker"):
        from fireworks.core.fworker import FWorker

        loaded.fworker = FWorker.from_dict(request["fworker"])
    return plain_action(loaded.run_task(restored(spec)))


def candidates(finder, spec):
    """The query for Fireworks that may be equal, and whether the finder has an opinion on each of them."""
    query = finder.query(spec)
    try:
        finder.verify({}, {})
    except NotImplementedError:
        return {"query": query, "verifies": False}
    except Exception:
        # It cannot do anything with nothing: FireWorks asks like this too.
        pass
    return {"query": query, "verifies": True}


def answer_to(request):
    spec = request["spec"]
    if "finder" in request:
        finder = object_of(request["finder"])
        if "others" not in request:
            return candidates(finder, restored(spec))
        return {"equal": [bool(finder.verify(restored(spec), restored(other))) for other in request["others"]]}
    task = request["task"]
    return {"action": py_task(task, spec) if task.get("_fw_name") == "PyTask" else any_task(task, spec, request)}


def as_json(value):
    """What FireWorks' own serializer does for values that JSON does not know."""
    for method in ("as_dict", "to_dict", "isoformat", "tolist"):
        if hasattr(value, method):
            return getattr(value, method)()
    if isinstance(value, (set, frozenset)):
        return list(value)
    text = str(value)
    # FireWorks stores this text too, of which nobody can make anything.
    if " at 0x" in text:
        raise TypeError("FWAction: %s of type %s cannot be stored" % (text, type(value).__name__))
    return text


def failure(e):
    try:
        details = e.to_dict()
        json.dumps(details, default=as_json)
    except Exception:
        details = None
    return {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc(), "details": details}


def channels():
    """The question, and the descriptor for its answer: out of the task's way, and closed in what it starts."""
    if len(sys.argv) == 3:
        question, answer = sys.argv[1:]
        del sys.argv[1:]
        with open(question, "rb") as file:
            return file.read(), os.open(answer, os.O_WRONLY | os.O_TRUNC)
    answer = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(3)
    return sys.stdin.buffer.read(), answer


def main():
    question, answer = channels()
    me = os.getpid()
    request = json.loads(question.decode("utf-8"))
    failed = True
    # A user's module may be in the launch folder, as when FireWorks runs there.
    sys.path.insert(0, os.getcwd())
    try:
        text = json.dumps(answer_to(request), default=as_json)
        failed = False
    except SetupError as e:
        text = json.dumps({"error": {"type": "SetupError", "message": str(e), "traceback": None, "details": None}})
    except BaseException as e:
        text = json.dumps({"error": failure(e)}, default=as_json)
        try:
            traceback.print_exc()
        except Exception:
            # The task has closed its standard error.
            pass
    # A child that the task forked and that came back here is not the one that is asked.
    if os.getpid() == me:
        with os.fdopen(answer, "w", encoding="utf-8") as out:
            out.write(text + "\n")
    if failed:
        sys.exit(1)


# A process that multiprocessing spawns reads this file again, as another module.
if __name__ == "__main__":
    main()
