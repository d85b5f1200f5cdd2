"""Duplicate finders of a user."""

from fireworks.features.dupefinder import DupeFinderBase


class SameKind(DupeFinderBase):
    """By its query alone."""

    _fw_name = "FeatureSameKind"

    def query(self, spec):
        return {"spec.kind": spec["kind"]}


class Near(DupeFinderBase):
    """By a look at each that the query finds."""

    _fw_name = "{{features.finders.Near}}"

    def query(self, spec):
        return {"spec.kind": spec["kind"]}

    def verify(self, one, other):
        return abs(one["n"] - other["n"]) <= 1
