"""Builds the workflow of ../word-atlas/workflow.docker.yaml with Python FireWorks, for who would rather write loops than YAML.

    python build_word_atlas.py                          prints it as JSON, which `borealisctl lpad add` reads
    python build_word_atlas.py -l my_launchpad.yaml     adds it to that LaunchPad

Needs `pip install fireworks`. No Python is needed where it runs.
"""

import argparse
import json

from fireworks import FiretaskBase, Firework, LaunchPad, Workflow

try:
    # The DockerTask that Borealis had when it was a Python package: the documents are the same.
    from borealis.docker_task import DockerTask
except ImportError:

    class DockerTask(FiretaskBase):
        """Names the task and its parameters; `fireworker` has the code that runs it."""

        _fw_name = "{{borealis.docker_task.DockerTask}}"
        required_params = ["name", "image", "command", "internal_prefix", "storage_prefix"]
        optional_params = ["inputs", "outputs", "timeout", "pull", "fwaction"]

        def run_task(self, fw_spec):
            raise NotImplementedError("a DockerTask runs on a fireworker")


PARTS = 8


def step(name, script, arguments=(), inputs=(), outputs=(), parents=(), **more):
    """A Firework that runs one of ../word-atlas/input/steps in a container; /work/x there is gs://sandbox/word-atlas/x."""
    program = f"/work/input/steps/{script}"
    task = DockerTask(
        name=name,
        image="borealis-demo:1",
        pull="missing",
        timeout=120,
        internal_prefix="/work",
        storage_prefix="sandbox/word-atlas",
        inputs=[*inputs, program],
        outputs=list(outputs),
        command=["sh", program, "/work", *arguments],
        **more,
    )
    return Firework(task, name=name, parents=list(parents))


def build_workflow():
    split = step("split", "split.sh", inputs=["/work/input/text.txt"], outputs=["/work/parts/"])
    counts = [
        step(
            f"count {part}",
            "count.sh",
            arguments=[str(part)],
            inputs=[f"/work/parts/part-{part}.txt"],
            outputs=[f">/work/counts/{part}.txt"],
            parents=[split],
        )
        for part in range(PARTS)
    ]
    merge = step("merge", "merge.sh", inputs=["/work/counts/"], outputs=["/work/merged.txt"], parents=counts)
    plan = step(
        "plan",
        "plan.sh",
        arguments=["/work/FWAction.json", "docker"],
        inputs=["/work/merged.txt"],
        fwaction="/work/FWAction.json",
        parents=[merge],
    )
    draw = step(
        "draw",
        "draw.sh",
        inputs=["/work/merged.txt", "/work/concordance/", "/work/input/text.txt"],
        outputs=["/work/output/", ">>/work/logs/draw.log"],
        parents=[plan],
    )
    return Workflow([split, *counts, merge, plan, draw], name="word atlas", metadata={"example": "word-atlas"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-l", "--launchpad", metavar="FILE", help="add the workflow to this LaunchPad")
    options = parser.parse_args()
    if options.launchpad:
        print(LaunchPad.from_file(options.launchpad).add_wf(build_workflow()))
    else:
        workflow = build_workflow().to_dict()
        print(json.dumps({key: workflow[key] for key in ("name", "metadata", "fws", "links")}, indent=2))
