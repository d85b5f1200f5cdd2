"""Python's side of rocket_features_as_python.e2e.ts.

    python rocket_features.py PORT cases.json     of each case: its workflows into the databases theirs_N and ours_N, then its
                                                  steps on theirs, in the folder theirs/N
"""

import json
import os
import sys
import traceback

from fireworks import FWorker, LaunchPad, Workflow
from fireworks.core.rocket_launcher import rapidfire
from fireworks.scripts.lpad_run import lpad

PORT = int(sys.argv[1])


def pad_of(name):
    return LaunchPad(host="127.0.0.1", port=PORT, name=name, strm_lvl="CRITICAL")


def run(case, number):
    for side in ("theirs", "ours"):
        pad = pad_of("%s_%d" % (side, number))
        pad.reset("", require_password=False)
        for workflow in case["workflows"]:
            pad.add_wf(Workflow.from_dict(json.loads(json.dumps(workflow))))
    name = "theirs_%d" % number
    folder = os.path.join(os.getcwd(), "theirs", str(number))
    worker = FWorker.from_file(os.path.join(folder, "my_fworker.yaml"))
    os.environ["PLACE"] = os.path.join(folder, "place")
    for step in case["steps"]:
        if step == ["fly"]:
            rapidfire(pad_of(name), worker, m_dir=folder, sleep_time=1, strm_lvl="CRITICAL", **case.get("rapidfire", {}))
        else:
            lpad(["-l", os.path.join(folder, "my_launchpad.yaml"), *step])


def main(what):
    here = os.getcwd()
    with open(what) as file:
        cases = json.load(file)
    for number, case in enumerate(cases):
        os.chdir(here)
        try:
            run(case, number)
        except Exception:
            print("case %d: %s" % (number, traceback.format_exc()), file=sys.stderr)


main(sys.argv[2])
