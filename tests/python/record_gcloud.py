"""Records the flags of every gcloud command that README and docs/ name, for tests/gcloud.ts.

    python3 tests/python/record_gcloud.py $(gcloud info --format='value(installation.sdk_root)') > tests/gcloud_commands.json
    npm run format

The Google Cloud CLI comes with a list of its commands (data/cli/gcloud_completions.py); no account is needed.
"""

import json
import re
import sys
from pathlib import Path

sdk = Path(sys.argv[1])
sys.path.insert(0, str(sdk / "data" / "cli"))
from gcloud_completions import STATIC_COMPLETION_CLI_TREE as tree  # noqa: E402

root = Path(__file__).resolve().parents[2]
found = {}
for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
    for words in re.findall(r"\bgcloud ((?:[a-z][a-z0-9-]* ?)+)", page.read_text()):
        node, name, flags = tree, [], list(tree["flags"])
        for word in words.split():
            if word not in node["commands"]:
                break
            node = node["commands"][word]
            name.append(word)
            flags += node["flags"]
        if name and not node["commands"]:
            found[" ".join(name)] = sorted(set(flags))

everywhere = sorted(set.intersection(*(set(flags) for flags in found.values())))
commands = {name: sorted(set(flags) - set(everywhere)) for name, flags in sorted(found.items())}
version = (sdk / "VERSION").read_text().strip()
print(json.dumps({"version": version, "everywhere": everywhere, "commands": commands}, indent=2))
