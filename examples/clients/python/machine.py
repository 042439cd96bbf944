"""Takes a machine through its life: creates, starts, watches, runs a command, stops, destroys.

Usage: machine.py APP IMAGE [COMMAND...]

WINDHOVER_API is the address of an api, WINDHOVER_TOKEN a token. The code in gen/ is made by
`buf generate`.
"""

import os
import sys
import threading
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen"))

import grpc
from google.rpc import error_details_pb2, status_pb2
from windhover.machines.v1 import (
    exec_pb2,
    exec_pb2_grpc,
    machine_pb2,
    machines_pb2,
    machines_pb2_grpc,
)

READ = 15  # Seconds. Every call has a deadline.
CHANGE = 60
CREATE = 300  # Pulls the image.


def main(app, image, command):
    token = os.environ["WINDHOVER_TOKEN"]
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(os.environ.get("WINDHOVER_API", "127.0.0.1:7070")) as channel:
        machines = machines_pb2_grpc.MachinesServiceStub(channel)
        commands = exec_pb2_grpc.ExecServiceStub(channel)

        created = machines.CreateMachine(
            machines_pb2.CreateMachineRequest(
                app=app,
                config=machine_pb2.MachineConfig(image=image),
                skip_launch=True,
                # With an id the call may be repeated: the answer is the same machine.
                request_id=str(uuid.uuid4()),
            ),
            timeout=CREATE,
            metadata=metadata,
        ).machine
        say("created", created)

        changes = machines.WatchMachines(
            machines_pb2.WatchMachinesRequest(machine_ids=[created.id]), metadata=metadata
        )
        begun = threading.Event()
        watcher = threading.Thread(target=watch, args=(changes, begun))
        watcher.start()
        try:
            # The first answer is what the machine is now.
            begun.wait(READ)
            by_id = {"machine_id": created.id}
            started = machines.StartMachine(
                machines_pb2.StartMachineRequest(**by_id), timeout=CHANGE, metadata=metadata
            )
            say("started", started.machine)

            ran = commands.RunCommand(
                exec_pb2.RunCommandRequest(command=command, stdin=b"hello\n", **by_id),
                timeout=CHANGE,
                metadata=metadata,
            )
            print("exec:", ran.exit_code, ran.stdout.decode().strip(), flush=True)

            machines.StopMachine(
                machines_pb2.StopMachineRequest(**by_id), timeout=CHANGE, metadata=metadata
            )
            machines.DestroyMachine(
                machines_pb2.DestroyMachineRequest(**by_id), timeout=CHANGE, metadata=metadata
            )
            watcher.join(READ)
            show_error(machines, by_id, metadata)
        finally:
            changes.cancel()
            watcher.join()


def watch(changes, begun):
    """Prints the states of a machine until it is destroyed."""
    last = None
    try:
        for response in changes:
            begun.set()
            for change in response.changes:
                state = machine_pb2.MachineState.Name(change.machine.state)
                if state != last:
                    print("watch:", state, flush=True)
                last = state
                if change.machine.state == machine_pb2.MACHINE_STATE_DESTROYED:
                    return
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.CANCELLED:
            print("watch failed:", reason_of(error), flush=True)
        begun.set()


def show_error(machines, by_id, metadata):
    """Shows what an error carries: here that of a start after the end."""
    try:
        machines.StartMachine(
            machines_pb2.StartMachineRequest(**by_id), timeout=CHANGE, metadata=metadata
        )
    except grpc.RpcError as error:
        print("error:", error.code().name, reason_of(error), flush=True)


def reason_of(error):
    """Returns the stable reason of an error. Its facts are in `info.metadata`."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return error.code().name


def say(what, machine):
    print(f"{what}:", machine.id, machine_pb2.MachineState.Name(machine.state), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or ["cat"])
