"""Python FireWorks' side of bench/rockets.ts, on the LaunchPad of my_launchpad.yaml here.

    peer.py script N       flies N rockets with rapidfire
    peer.py launchpad N    claims and completes N Fireworks without running them
    peer.py add N          adds a workflow of N Fireworks, and prints how many seconds that took
"""
import os
import sys
import time

from fireworks import FWAction, FWorker, LaunchPad, Workflow
from fireworks.core.rocket_launcher import rapidfire

do, count = sys.argv[1], int(sys.argv[2])
pad = LaunchPad.from_file("my_launchpad.yaml")
pad.strm_lvl = "CRITICAL"

if do == "script":
    os.makedirs("peer", exist_ok=True)
    rapidfire(pad, FWorker(name="peer"), m_dir=os.path.abspath("peer"), nlaunches=count, strm_lvl="CRITICAL")
elif do == "launchpad":
    for i in range(count):
        firework, launch_id = pad.checkout_fw(FWorker(name="peer"), "/tmp", host="here", ip="127.0.0.1")
        pad.complete_launch(launch_id, FWAction(), "COMPLETED")
else:
    tasks = {"_tasks": [{"_fw_name": "ScriptTask", "script": "true"}]}
    fireworks = [{"fw_id": i + 1, "name": "child %d" % (i + 1), "spec": tasks} for i in range(count)]
    workflow = {"fws": fireworks, "links": {"1": list(range(2, count + 1))}, "metadata": {}}
    start = time.perf_counter()
    pad.add_wf(Workflow.from_dict(workflow))
    print(time.perf_counter() - start)
