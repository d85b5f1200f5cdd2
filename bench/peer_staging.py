"""The other side of bench/staging.ts: CloudStorage of the package borealis-fireworks, as its DockerTask uses it.

    peer_staging.py up FOLDER PREFIX      stores FOLDER/ as the tree PREFIX/tree/; prints how many seconds that took
    peer_staging.py down FOLDER PREFIX    fetches it to FOLDER/tree/
"""
import os
import sys
import time

from borealis.util.storage import CloudStorage

do, folder, prefix = sys.argv[1:]
storage = CloudStorage(prefix)
start = time.perf_counter()
if do == "up":
    ok = storage.upload_tree(os.path.join(folder, ""), "tree/")
else:
    ok = storage.download_tree("tree/", folder)
print(time.perf_counter() - start)
sys.exit(0 if ok else 1)
