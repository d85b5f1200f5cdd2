"""Firetasks of a user."""

import datetime
import decimal
import pathlib

from fireworks import FiretaskBase, Firework, FWAction, ScriptTask, Workflow, explicit_serialize


class Named(FiretaskBase):
    """Found by its name in the package."""

    _fw_name = "FeatureNamed"

    def run_task(self, fw_spec):
        return FWAction(stored_data={"env": fw_spec["_fw_env"], "params": {"n": self["n"]}})


class ByDefault(FiretaskBase):
    """Found by the name that FireWorks gives it: features::ByDefault."""

    def run_task(self, fw_spec):
        return FWAction(stored_data={"found": True})


@explicit_serialize
class Looks(FiretaskBase):
    """What it is given besides the spec."""

    def run_task(self, fw_spec):
        firework = self.launchpad.get_fw_by_id(self.fw_id)
        return FWAction(
            stored_data={
                "name": firework.name,
                "state": firework.state,
                "worker": [self.fworker.name, self.fworker.category, self.fworker.env],
            }
        )


@explicit_serialize
class Kinds(FiretaskBase):
    """What the values of a spec are in Python."""

    def run_task(self, fw_spec):
        return FWAction(stored_data={key: type(value).__name__ for key, value in fw_spec.items() if key[0] != "_"})


class Point:
    """An object as monty writes and reads it."""

    def __init__(self, x):
        self.x = x

    def as_dict(self):
        return {"@module": "features.tasks", "@class": "Point", "x": self.x}

    @classmethod
    def from_dict(cls, value):
        return cls(value["x"])


@explicit_serialize
class Moves(FiretaskBase):
    required_params = ["by"]

    def run_task(self, fw_spec):
        return FWAction(update_spec={"at": Point(fw_spec["at"].x + self["by"])})


@explicit_serialize
class Returns(FiretaskBase):
    """Values that are no JSON."""

    def run_task(self, fw_spec):
        when = datetime.datetime(2020, 1, 2, 3, 4, 5, 678901)
        return FWAction(
            stored_data={
                "path": pathlib.Path("/a/b"),
                "decimal": decimal.Decimal("1.50"),
                "when": when,
                "day": when.date(),
                "tuple": (1, 2.5, None),
                "big": 2**60,
            }
        )


class Trouble(Exception):
    def to_dict(self):
        return {"code": 5}


@explicit_serialize
class Fails(FiretaskBase):
    def run_task(self, fw_spec):
        raise Trouble("as it was told")


@explicit_serialize
class Changes(FiretaskBase):
    def run_task(self, fw_spec):
        return FWAction(
            update_spec={"set": fw_spec.get("set", 0) + 1}, mod_spec=[{"_push": {"list": len(fw_spec["list"])}}]
        )


@explicit_serialize
class Grows(FiretaskBase):
    def run_task(self, fw_spec):
        one = Firework(ScriptTask.from_str("true"), name="grown")
        two = Firework(ScriptTask.from_str("true"), name="later", parents=[one])
        kind = self["kind"]
        if kind == "append_wfs":
            return FWAction(append_wfs=[{"workflow": Workflow([one, two]), "parents": [], "detour": True}])
        return FWAction(**{kind: Workflow([one, two]) if self.get("both") else one})


