"""docker-py's side of bench/docker_output.ts, as borealis reads a container: peer_docker.py IMAGE COMMAND...

Prints how many bytes came, and the seconds from the first line to the last."""
import sys
import time

import docker

client = docker.from_env()
container = client.containers.run(sys.argv[1], command=sys.argv[2:], detach=True, network_mode="none")
lines = []
count, first = 0, None
try:
    for line_bytes in container.logs(stream=True):
        if first is None:
            first = time.perf_counter()
        count += len(line_bytes)
        lines.append(line_bytes.decode())
    print(count, time.perf_counter() - first)
finally:
    container.remove(force=True)
