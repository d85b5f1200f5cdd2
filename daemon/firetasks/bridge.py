"""Runs one Firetask for a worker that is not written in Python.

Reads one JSON document from standard input: {"task": parameters, "spec": fw_spec, "fworker": ..., "fw_id": ...,
"launchpad": ...}, and writes one line to file descriptor 3: {"action": FWAction or null} or {"error": {...}}. Standard
output and error are the task's own. Works without the fireworks package for PyTask; with it for every Firetask that
FireWorks can find.
"""
import builtins
import datetime
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


def with_dates(value):
    """FireWorks makes a datetime of every string that is one before a task sees it."""
    if isinstance(value, dict):
        return {key: with_dates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_dates(inner) for inner in value]
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
    task, spec = with_dates(task), with_dates(spec)
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


def any_task(task, spec, request):
    name = task.get("_fw_name")
    try:
        from fireworks.core.fworker import FWorker
        from fireworks.core.launchpad import LaunchPad
        from fireworks.utilities.exceptions import FWSerializationError
        from fireworks.utilities.fw_serializers import load_object
    except ImportError:
        raise SetupError(
            "Firetask '%s' needs the Python package fireworks in %s: %s -m pip install fireworks"
            % (name, sys.executable, sys.executable)
        ) from None
    try:
        loaded = load_object(dict(task))
    except (ImportError, ValueError, AttributeError, FWSerializationError) as e:
        raise SetupError(
            "Firetask '%s' is not known to this worker, nor to the Python that it asks (%s): %s. Correct _fw_name, or"
            " install the package that defines it there" % (name, sys.executable, e)
        ) from e
    if spec.get("_add_launchpad_and_fw_id"):
        loaded.fw_id, loaded.launchpad = request["fw_id"], LaunchPad(**request["launchpad"])
    if spec.get("_add_fworker"):
        loaded.fworker = FWorker.from_dict(request["fworker"])
    return plain_action(loaded.run_task(with_dates(spec)))


def main():
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    # Closed on exec, so that what the task starts does not hold the answer open.
    os.set_inheritable(3, False)
    answer = os.fdopen(3, "w", encoding="utf-8")
    # A user's module may be in the launch folder, as when FireWorks runs there.
    sys.path.insert(0, os.getcwd())
    task, spec = request["task"], request["spec"]
    try:
        action = py_task(task, spec) if task.get("_fw_name") == "PyTask" else any_task(task, spec, request)
        text = json.dumps({"action": action}, default=as_json)
    except SetupError as e:
        text = json.dumps({"error": {"type": "SetupError", "message": str(e), "traceback": None, "details": None}})
    except BaseException as e:
        traceback.print_exc()
        try:
            details = e.to_dict()
            json.dumps(details, default=as_json)
        except Exception:
            details = None
        error = {"type": type(e).__name__, "message": str(e), "traceback": traceback.format_exc(), "details": details}
        text = json.dumps({"error": error}, default=as_json)
    sys.stdout.flush()
    answer.write(text + "\n")
    answer.close()


def as_json(value):
    """What FireWorks' own serializer does for values that JSON does not know."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, tuple)):
        return list(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError("FWAction: %r of type %s cannot be stored" % (value, type(value).__name__))


main()
