"""Records what Python FireWorks 2.1.4 writes, scenario by scenario, for core/launchpad/recorded.test.ts.

    npx bun ctl/main.ts sandbox mongo --dir /tmp/recorder --port 27099      # in one terminal
    $(npx bun scripts/python_env.ts) tests/python/record.py mongodb://127.0.0.1:27099 core/launchpad/recorded [NAME ...]
    npm run format

Each scenario runs in an empty database and writes NAME.json: all collections after each step, in relaxed Extended JSON with
sorted keys. What differs from run to run becomes a placeholder that keeps its type: "<oid>", "<iso>" and "<iso+00:00>" (a date
as a string, without or with its offset), "<date>" (a BSON date), "<float>", "<host>", "<ip>", "<dir>", "<traceback> LAST LINE".
A text too long for a file in a repository becomes "<N characters>". Run twice, the files are the same, byte for byte.
"""

import argparse
import contextlib
import datetime
import json
import logging
import os
import re
import socket
import tempfile

import fireworks.user_objects.firetasks.script_task as script_task
from bson import ObjectId, json_util
from fireworks import Firework, FiretaskBase, FWAction, FWorker, LaunchPad, PyTask, ScriptTask, Tracker, Workflow
from fireworks.core.rocket_launcher import launch_rocket
from fireworks.queue.queue_launcher import setup_offline_job
from fireworks.user_objects.firetasks.dataflow_tasks import ForeachTask, ImportDataTask, JoinDictTask, JoinListTask
from fireworks.utilities import fw_serializers
from pymongo import MongoClient

logging.disable(logging.CRITICAL)
ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+\d\d:\d\d)?$")
LONG = 10_000
COLLECTIONS = {
    "fireworks": lambda row: row["fw_id"],
    "launches": lambda row: row["launch_id"],
    "workflows": lambda row: min(row["nodes"]),
    "fw_id_assigner": lambda row: 0,
    "offline_runs": lambda row: row["launch_id"],
    "fw_gridfs.files": lambda row: row["metadata"]["launch_id"],
}
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


class Act(FiretaskBase):
    """Returns the FWAction that its parameters describe; `boom` raises; `size` stores a text of that length."""

    _fw_name = "Act"

    def run_task(self, fw_spec):
        if self.get("boom"):
            raise ValueError(self["boom"])
        stored = {"text": "x" * self["size"]} if "size" in self else self.get("stored")
        return FWAction(stored_data=stored, update_spec=self.get("update"), mod_spec=self.get("mod"))


# FireWorks finds Firetasks by the module that defines them.
script_task.Act = Act
Act.__module__ = script_task.__name__
fw_serializers.SAVED_FW_MODULES["Act"] = script_task.__name__


def normal(value, key=""):
    if isinstance(value, dict):
        return {str(name): normal(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [normal(item, key) for item in value]
    if isinstance(value, ObjectId):
        return "<oid>"
    if isinstance(value, datetime.datetime):
        return "<date>"
    if isinstance(value, float) and key in ("runtime_secs", "reservedtime_secs"):
        return "<float>"
    return text(value, key) if isinstance(value, str) else value


def text(value, key):
    if ISO.match(value):
        return "<iso+00:00>" if value.endswith("+00:00") else "<iso>"
    if re.fullmatch("[0-9a-f]{24}", value):
        return "<oid>"
    if key == "host" or value == socket.gethostname():
        return "<host>"
    if key == "ip":
        return "<ip>"
    if "Traceback (most recent call last)" in value:
        value = "<traceback> " + value.strip().splitlines()[-1]
    if len(value) > LONG:
        return f"<{len(value)} characters>"
    return re.sub(r"/tmp/[\w./-]+", "<dir>", value)


class World:
    """An empty LaunchPad, a worker, a folder to fly in, and what was recorded so far."""

    def __init__(self, uri, name, folder):
        client = MongoClient(uri)
        client.drop_database(name)
        self.db = client[name]
        self.launchpad = LaunchPad(host=uri, uri_mode=True, name=name, logdir=None, strm_lvl="CRITICAL")
        self.launchpad.reset("", require_password=False, max_reset_wo_password=10**9)
        self.worker = FWorker("tester")
        self.folder = folder
        os.chdir(folder)
        self.steps = []

    def add(self, *fireworks):
        self.launchpad.add_wf(Workflow(list(fireworks)))

    def run(self, rockets=1):
        for _ in range(rockets):
            launch_rocket(self.launchpad, self.worker, strm_lvl="CRITICAL")

    @staticmethod
    def write(name, value):
        with open(name, "w") as file:
            json.dump(value, file)

    def snap(self, step):
        collections = {
            name: [normal(plain(row)) for row in sorted(self.db[name].find({}), key=key)]
            for name, key in COLLECTIONS.items()
            if name in ("fireworks", "launches", "workflows", "fw_id_assigner", "offline_runs") or self.db[name].find_one()
        }
        self.steps.append({"step": step, "collections": collections})


def plain(row):
    row = json.loads(json_util.dumps(row), object_hook=json_util.object_hook)
    if "archived_launches" in row:  # FireWorks makes a set of them: they are in no order.
        row["archived_launches"].sort()
    return row


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


@scenario
def gridfs_overflow(w):
    """An action that no launch document can hold, and a child that waits for it."""
    a = Firework(Act(size=17 * 1024 * 1024), name="a")
    w.add(a, Firework(Act(stored={"n": 1}), name="b", parents=[a]))
    w.run()
    w.snap("a stored more than a document holds")
    w.run()
    w.snap("b ran")


@scenario
def trackers(w):
    """What two files end with, of which one is never written."""
    spec = {"_trackers": [Tracker("out.txt", nlines=2), Tracker("gone.txt", allow_zipped=True)]}
    w.add(Firework(ScriptTask.from_str("printf 'one\\ntwo\\nthree\\n' > out.txt"), name="a", spec=spec))
    w.snap("added")
    w.launchpad.checkout_fw(w.worker, w.folder)
    w.snap("checked out")
    with open("out.txt", "w") as file:
        file.write("one\ntwo\nthree\n")
    w.launchpad.ping_launch(1)
    w.snap("pinged")


@scenario
def recovery_of_tasks(w):
    """The second of three Firetasks fails, twice; then it is mended and flies on with what the first one gathered."""
    first = Act(stored={"first": 1}, update={"u": 1}, mod=[{"_push": {"list": 1}}])
    a = Firework([first, Act(boom="no good"), Act(stored={"third": 3})], name="a")
    w.add(a, Firework(Act(), name="b", parents=[a]))
    w.run()
    w.snap("fizzled")
    w.launchpad.rerun_fw(2, recover_launch="last", recover_mode="prev_dir")
    w.snap("rerun in its folder")
    w.run()
    w.snap("fizzled again")
    w.launchpad.rerun_fw(2, recover_launch="last", recover_mode="cp")
    w.snap("rerun with a copy of its folder")
    w.launchpad.update_spec([2], {"_tasks.1.boom": None})
    w.run()
    w.snap("mended and completed")
    w.launchpad.rerun_fw(2)
    w.snap("rerun from the beginning")


@scenario
def reservation_expires(w):
    """A reservation in a queue that is found too old and cancelled, and one that runs."""
    w.add(Firework(Act(), name="a"))
    w.launchpad.reserve_fw(w.worker, w.folder)
    w.launchpad.set_reservation_id(1, "4711")
    w.snap("reserved")
    w.launchpad.detect_unreserved(expiration_secs=-1)
    w.launchpad.detect_unreserved(expiration_secs=-1, rerun=True)
    w.snap("expired and cancelled")
    w.launchpad.reserve_fw(w.worker, w.folder)
    w.launchpad.checkout_fw(w.worker, w.folder, fw_id=1)
    w.snap("the second one runs")
    w.launchpad.complete_launch(2, FWAction(stored_data={"n": 1}))
    w.snap("completed")


@scenario
def dataflow(w):
    """Python's dataflow Firetasks: only Python runs them, but what they return is everybody's to apply."""
    w.write("data.json", {"k": [1, 2.5]})
    each = ForeachTask(
        task={"_fw_name": "PyTask", "func": "builtins.sum", "inputs": ["numbers"], "outputs": ["sums"]},
        split="numbers",
        **{"number of chunks": 2},
    )
    a = Firework(each, name="a", spec={"numbers": [1, 2, 3]})
    join = [JoinListTask(inputs=["sums"], output="list"), JoinDictTask(inputs=["sums"], output="dict", rename={"sums": "total"})]
    b = Firework(join, name="b", parents=[a])
    c = Firework(ImportDataTask(filename="data.json", mapstring="dict/imported"), name="c", parents=[b])
    w.add(a, b, c, Firework(PyTask(func="builtins.len", inputs=["dict"], outputs=["n"]), name="d", parents=[c]))
    w.run()
    w.snap("one Firework for each chunk")
    w.run(2)
    w.snap("chunks done")
    w.run()
    w.snap("joined")
    w.run(2)
    w.snap("imported, and all run")


@scenario
def offline_recovery(w):
    """Three offline runs: one is seen running, then completed; one fizzled; one has lost its folder."""
    for name, task in (("a", Act(stored={"x": 1})), ("b", Act(boom="no good")), ("c", Act())):
        w.add(Firework(task, name=name, spec={"_priority": ord("z") - ord(name)}))
    folders = [os.path.join(w.folder, name) for name in ("a", "b", "c")]
    for folder in folders:
        os.mkdir(folder)
        os.chdir(folder)
        firework, launch_id = w.launchpad.reserve_fw(w.worker, folder)
        setup_offline_job(w.launchpad, firework, launch_id)
    os.chdir(w.folder)
    w.snap("three in a queue")
    # What `rlaunch singleshot --offline` writes (with monty 2025 FireWorks 2.1.4 itself cannot: it opens files without a mode).
    checkpoint = {"_task_n": 0, "_all_stored_data": {}, "_all_update_spec": {}, "_all_mod_spec": []}
    started = {"launch_id": 1, "started_on": now(), "checkpoint": checkpoint}
    w.write("a/FW_offline.json", started)
    w.launchpad.recover_offline(1)
    w.snap("the first one runs")
    completed = FWAction(stored_data={"x": 1}).to_dict()
    w.write("a/FW_offline.json", {**started, "fwaction": completed, "state": "COMPLETED", "completed_on": now()})
    fizzled = FWAction(stored_data={"_message": "runtime error during task"}, exit=True).to_dict()
    ended = {"fwaction": fizzled, "state": "FIZZLED", "completed_on": now()}
    w.write("b/FW_offline.json", {**started, "launch_id": 2, **ended})
    os.rename("c", "c-gone")
    for launch_id in (1, 2, 3):
        w.launchpad.recover_offline(launch_id)
    w.snap("all recovered")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    folder = os.path.abspath(args.folder)
    for name in args.names or SCENARIOS:
        # Whatever a Firetask raises is printed by FireWorks; here it is the scenario.
        with tempfile.TemporaryDirectory() as home, open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            world = World(args.uri, f"recorded_{name}", home)
            SCENARIOS[name](world)
            os.chdir(folder)
        with open(os.path.join(folder, f"{name}.json"), "w") as file:
            json.dump({"scenario": name, "fireworks": "2.1.4", "steps": world.steps}, file, indent=1, sort_keys=True)
            file.write("\n")
        print(f"{name}: {len(world.steps)} steps")


if __name__ == "__main__":
    main()
