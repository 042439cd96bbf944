"""Runs a deployed function once: run.py NAME JSON. `buf generate` in this folder makes gen/."""

import itertools, os, sys, time, urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen"))
import grpc
from windhover.machines.v1 import acquire_pb2 as acquire, acquire_pb2_grpc, machines_pb2, machines_pb2_grpc

name, body = sys.argv[1:]
metadata = (("authorization", f"Bearer {os.environ['WINDHOVER_TOKEN']}"),)
with grpc.insecure_channel(os.environ.get("WINDHOVER_API", "127.0.0.1:7070")) as channel:
    machines = machines_pb2_grpc.MachinesServiceStub(channel)
    wanted = machines_pb2.ListMachinesRequest(app="faas", metadata={"function": name, "live": "true"})
    own = machines.ListMachines(wanted, timeout=15, metadata=metadata).machines
    newest = max(own, key=lambda each: each.config.metadata["version"])
    labels = {"function": name, "version": newest.config.metadata["version"]}
    regions = sorted({each.region for each in own})
    config = machines.GetMachine(machines_pb2.GetMachineRequest(machine_id=newest.id), timeout=15, metadata=metadata).machine.config
    config.auto_destroy = True  # A launched machine is one more than was asked for.
    starts = [acquire.AcquireStep(start_any=acquire.StartAnyStep(app="faas", region=region, metadata=labels)) for region in regions]
    launches = [acquire.AcquireStep(launch=acquire.LaunchStep(app="faas", region=region, config=config)) for region in regions]
    request = acquire.AcquireMachineRequest(steps=starts + launches)
    machine = acquire_pb2_grpc.AcquireServiceStub(channel).AcquireMachine(request, timeout=90, metadata=metadata).machine
url = f"http://{machine.service_addresses[0].address}"
for tries in itertools.count():
    try:  # The machine runs; its function is loaded a moment later.
        urllib.request.urlopen(f"{url}/ready", timeout=2).close()
        break
    except OSError:
        time.sleep(0.1) if tries < 600 else sys.exit("the function was not ready within a minute")
call = urllib.request.Request(f"{url}/run", body.encode(), {"content-type": "application/json"})
print(urllib.request.urlopen(call, timeout=60).read().decode(), end="")
