"""Python's side of lpad_as_python.e2e.ts.

    python lpad_as_python.py prepare         makes the LaunchPad of my_launchpad.yaml one in which everything has happened
    python lpad_as_python.py run             runs the command lines of lines.json in one process, for FireWorks takes a
                                             second to start; what they print goes to answers.json. A line that begins with
                                             "api" is an expression about `pad`
"""

import contextlib
import datetime
import io
import json
import os
import sys
import time

from fireworks import FWAction, Firework, FWorker, LaunchPad, ScriptTask, Workflow
from fireworks.core.rocket_launcher import launch_rocket, rapidfire
from fireworks.scripts.lpad_run import lpad

WORKER = FWorker(name="w")


def script(line, **more):
    return ScriptTask.from_str(line, more)


def single(name, *lines, **spec):
    return Workflow([Firework([script(line) for line in lines], spec=spec, name=name)], name=f"wf {name}")


def add(pad, workflow):
    """Adds a workflow of one Firework and returns its id."""
    (fw_id,) = pad.add_wf(workflow).values()
    return fw_id


def launch_dir(name, **files):
    folder = os.path.join(os.getcwd(), name)
    os.makedirs(folder)
    for file, content in files.items():
        with open(os.path.join(folder, f"{file}.json"), "w") as out:
            json.dump(content, out)
    return folder


def offline(pad, name, **diary):
    """Reserves a Firework of that name and leaves what an offline run of it wrote."""
    fw_id = add(pad, single(name, "echo"))
    folder = launch_dir(name, **diary)
    _, launch_id = pad.reserve_fw(WORKER, folder, fw_id=fw_id)
    pad.set_reservation_id(launch_id, f"q{launch_id}")
    pad.add_offline_run(launch_id, fw_id, name)
    return fw_id, launch_id


def prepare():
    pad = LaunchPad.from_file("my_launchpad.yaml")
    pad.reset(datetime.datetime.now().strftime("%Y-%m-%d"))
    for line in (
        ["add", "wf.yaml"],
        ["add_scripts", "echo a", "echo b", "-n", "one", "two", "-w", "scripts"],
        ["add_scripts", "echo c"],
    ):
        lpad(["-l", "my_launchpad.yaml", *line])
    rapidfire(pad, WORKER, nlaunches=4, strm_lvl="CRITICAL")
    launch_rocket(pad, WORKER, fw_id=2)
    lpad(["-l", "my_launchpad.yaml", "rerun_fws", "-i", "4"])
    lpad(["-l", "my_launchpad.yaml", "pause_fws", "-i", "5"])

    # 7 failed in its second Firetask; 8 too, twice, and waits to recover.
    for name in ("half", "twice"):
        fw_id = add(pad, single(name, "echo begun", "exit 4", odd="it's"))
        launch_rocket(pad, WORKER, fw_id=fw_id)
    pad.rerun_fw(8, recover_launch="last", recover_mode="cp")
    # 9 runs and tracks a file; 10 to 12 run, and are lost.
    pad.add_wf(single("tracking", "echo", _trackers=[{"filename": "log.txt", "nlines": 2}, {"filename": "none", "nlines": 5}]))
    folder = launch_dir("tracked")
    with open(os.path.join(folder, "log.txt"), "w") as out:
        out.write("first\nsecond\nthird\n")
    _, launch_id = pad.checkout_fw(WORKER, folder, fw_id=9)
    pad.ping_launch(launch_id)
    pad.add_wf(Workflow([lost := Firework(script("echo"), name="lost"), Firework(script("echo"), name="below", parents=[lost])]))
    pad.add_wf(single("lost", "echo"))
    for fw_id in (11, 12):
        pad.checkout_fw(WORKER, launch_dir(f"lost{fw_id}"), fw_id=fw_id)
    # 13 has ended without its Firework knowing of it.
    pad.add_wf(single("unknowing", "echo"))
    _, launch_id = pad.checkout_fw(WORKER, os.getcwd(), fw_id=13)
    launch = pad.get_launch_by_id(launch_id)
    launch.state = "FIZZLED"
    pad.launches.replace_one({"launch_id": launch_id}, launch.to_db_dict())
    # 14 to 18 were reserved: one is done offline, one failed, one runs, one never began, one left nothing.
    started = "2026-01-02T03:04:05.678901+00:00"
    done = FWAction(stored_data={"x": 1.0}).to_dict()
    offline(pad, "done", FW_offline={"started_on": started, "fwaction": done, "state": "COMPLETED", "completed_on": started})
    failed = FWAction(exit=True).to_dict()
    offline(pad, "failed", FW_offline={"started_on": started, "fwaction": failed, "state": "FIZZLED", "completed_on": started})
    offline(pad, "runs", FW_offline={"started_on": started, "checkpoint": {"_task_n": 0}}, FW_ping={"ping_time": started})
    offline(pad, "queued", FW_offline={"launch_id": 1})
    offline(pad, "nothing")
    # 19 is in no workflow. 20 and 21 are one workflow in the archive, 22 and 23 a defused one.
    pad.fireworks.insert_one(Firework(script("echo"), name="orphan", fw_id=pad.get_new_fw_id()).to_db_dict())
    for name in ("old", "off"):
        above = Firework(script("echo"), name=f"{name} 1")
        pad.add_wf(Workflow([above, Firework(script("echo"), name=f"{name} 2", parents=[above])], name=name))
    pad.archive_wf(20)
    pad.defuse_wf(22)
    # 24 ended with an action that is in GridFS, as one of 17 MB would be.
    pad.add_wf(single("large", "echo"))
    launch_rocket(pad, WORKER, fw_id=24)
    launch = pad.launches.find_one({"fw_id": 24})
    file = pad.gridfs_fallback.put(json.dumps(launch["action"]), encoding="utf-8", metadata={"launch_id": launch["launch_id"]})
    pad.launches.update_one({"fw_id": 24}, {"$set": {"action": {"gridfs_id": str(file)}}})
    # 25 and 26: the workflow of a holder that died.
    above = Firework(script("echo"), name="locked")
    pad.add_wf(Workflow([above, Firework(script("echo"), name="locked below", parents=[above])], name="locked"))
    pad.workflows.update_one({"nodes": 25}, {"$set": {"locked": True}})
    for _ in range(3):
        bad = Firework(script("exit 1"), spec={"bad": True, "n": 1})
        launch_rocket(pad, WORKER, fw_id=add(pad, Workflow.from_firework(bad, metadata={"kind": "bad"})))
    # Nothing is newer than what lpad is asked for: times of FireWorks end with microseconds, those of BSON do not.
    time.sleep(0.01)


def run():
    answers = []
    with open("lines.json") as lines:
        for config, *line in json.load(lines):
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
                try:
                    if line[0] == "api":
                        eval(line[1], {"pad": LaunchPad.from_file(config)})
                    else:
                        lpad(["-l", config, *line])
                except (Exception, SystemExit) as thrown:
                    print("failed:", repr(thrown))
            answers.append(said.getvalue())
    # The scripts that ran wrote to stdout themselves.
    with open("answers.json", "w") as out:
        json.dump(answers, out)


{"prepare": prepare, "run": run}[sys.argv[1]]()
