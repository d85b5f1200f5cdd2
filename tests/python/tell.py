"""Tells random stories (core/launchpad/random/story.ts) to Python FireWorks.

    python tell.py MONGODB_URI DATABASE < STORIES

STORIES has one story a line. Each is told in the emptied LaunchPad; then one line is printed: the error that ended it as a
JSON string, or null.
"""

import json
import logging
import os
import sys

import fireworks.core.launchpad
import fireworks.user_objects.firetasks.script_task as home
from fireworks import Firework, FiretaskBase, FWAction, FWorker, LaunchPad, Workflow
from fireworks.core.rocket_launcher import launch_rocket
from fireworks.utilities import fw_serializers

logging.disable(logging.CRITICAL)
MANY = 60


class Act(FiretaskBase):
    """Returns the FWAction that its parameters describe; `boom` raises."""

    _fw_name = "Act"

    def run_task(self, fw_spec):
        if self.get("boom"):
            raise ValueError(self["boom"])
        grown = {key: [Workflow.from_dict(one) for one in self.get(key, [])] or None for key in ("additions", "detours")}
        return FWAction(
            stored_data=self.get("stored"),
            exit=self.get("exit", False),
            update_spec=self.get("update"),
            mod_spec=self.get("mod"),
            defuse_children=self.get("defuse_children", False),
            defuse_workflow=self.get("defuse_workflow", False),
            propagate=self.get("propagate", False),
            **grown,
        )


# FireWorks finds Firetasks by the module that defines them.
home.Act = Act
Act.__module__ = home.__name__
fw_serializers.SAVED_FW_MODULES["Act"] = home.__name__


# Of equal priorities the oldest goes first, as ours does; without this FireWorks leaves it to the server.
fireworks.core.launchpad.SORT_FWS = "FIFO"


class Teller:
    def __init__(self, uri, name):
        self.launchpad = LaunchPad(host=uri, uri_mode=True, name=name, logdir=None, strm_lvl="CRITICAL")
        self.worker = FWorker("teller")

    def run(self, rockets):
        for _ in range(rockets):
            if not launch_rocket(self.launchpad, self.worker, strm_lvl="CRITICAL"):
                return

    def tell(self, story):
        self.launchpad.reset("", require_password=False, max_reset_wo_password=10**9)
        ids = self.launchpad.add_wf(Workflow.from_dict(story["workflow"]))
        self.first = min(ids.values())
        for step in story["steps"]:
            self.take(step)
        self.run(MANY)

    def take(self, step):
        launchpad, what = self.launchpad, step["do"]
        if what == "run":
            return self.run(step["rockets"])
        if what == "lose":
            launchpad.checkout_fw(self.worker, os.getcwd())
            return launchpad.detect_lostruns(expiration_secs=-1, fizzle=not step["rerun"], rerun=step["rerun"])
        whole = {"pauseWorkflow": "pause_wf", "defuseWorkflow": "defuse_wf", "reigniteWorkflow": "reignite_wf"}
        if what in whole:
            return getattr(launchpad, whole[what])(self.first)
        ids = sorted(launchpad.workflows.find_one({"nodes": self.first})["nodes"])
        fw_id = ids[step["at"] % len(ids)]
        if what == "append":
            try:
                launchpad.append_wf(Workflow.from_dict(step["workflow"]), [fw_id], detour=step["detour"])
            except ValueError:
                pass  # it came too late
            return None
        return getattr(launchpad, what + "_fw")(fw_id)


def main():
    teller = Teller(*sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what FireWorks prints is no answer
    for line in sys.stdin:
        try:
            teller.tell(json.loads(line))
            ended = None
        except Exception as error:
            ended = "%s: %s" % (type(error).__name__, error)
        print(json.dumps(ended), file=answers, flush=True)


if __name__ == "__main__":
    main()
