"""The workflows of side_by_side.e2e.ts, built with Python FireWorks, and the functions that their PyTasks call.

    python side_by_side.py my_launchpad.yaml ann      adds them; dynamic steps once for Python's worker, once for `ann`
"""
import json
import sys
import time

from fireworks import Firework, FWAction, LaunchPad, PyTask, ScriptTask, Workflow

WIDE = 24


def begin():
    return FWAction(stored_data={"wide": WIDE}, update_spec={"unit": "mm", "limits": {"low": 0.5, "high": 2**53 + 1}})


def measure(i):
    time.sleep(0.2)
    return FWAction(stored_data={"i": i}, mod_spec=[{"_push": {"measured": i}}, {"_inc": {"count": 1}}])


def total(measured, count):
    assert sorted(measured) == list(range(1, WIDE, 2)) and count == len(measured), (measured, count)
    return sum(measured)


def grow():
    return growth()


def fizzled(parents):
    return [parent["state"] for parent in parents]


def growth():
    """A detour, which children wait for, and an addition, which they do not; each a workflow or a lone Firework."""
    first, second = script("added first"), script("added second")
    return FWAction(
        update_spec={"grown": True},
        additions=Workflow([first, second], {first: [second]}),
        detours=[script("detour")],
    )


def script(name, line="sleep 0.1", spec=None, **params):
    return Firework(ScriptTask(script=line, **params), spec=spec, name=name)


def call(name, function, spec=None, **params):
    return Firework(PyTask(func="side_by_side." + function, **params), spec=spec, name=name)


def measuring():
    first = call("begin", "begin")
    steps = [
        call("measure %d" % i, "measure", args=[i])
        if i % 2
        else script("say %d" % i, "sleep 0.2; echo %d" % i, store_stdout=True)
        for i in range(WIDE)
    ]
    merge = call("merge", "total", inputs=["measured", "count"], outputs=["total"])
    report = script("report", "cat", stdin_key="total", store_stdout=True)
    return Workflow([first, *steps, merge, report], {first: steps, **{step: merge for step in steps}, merge: report}, "measuring")


def growing(worker):
    from_python = call("grow", "grow", {"_fworker": worker})
    action = json.dumps(growth().to_dict())
    from_file = script("grow by file", "cat > FWAction.json << 'END'\n%s\nEND" % action, {"_fworker": worker})
    after = script("after growth")
    return Workflow([from_python, from_file, after], {from_python: after, from_file: after}, "growing on " + worker)


def forgiving(worker):
    fails = script("fails", "exit 3", {"_fworker": worker})
    after = call("goes on", "fizzled", {"_allow_fizzled_parents": True}, inputs=["_fizzled_parents"], outputs=["parents"])
    last = script("last")
    return Workflow([fails, after, last], {fails: after, after: last}, "forgiving on " + worker)


def failing(worker):
    fails, never = call("raises", "no_such_function", {"_fworker": worker}), script("never")
    return Workflow([fails, never], {fails: never}, "failing on " + worker)


if __name__ == "__main__":
    workers = ["python", *sys.argv[2:]]
    pad = LaunchPad.from_file(sys.argv[1])
    for workflow in [measuring(), *(make(worker) for worker in workers for make in (growing, forgiving, failing))]:
        pad.add_wf(workflow)
