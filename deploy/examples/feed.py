#!/usr/bin/env python3
"""Follows Quell's incident feed and remembers where it was, so that a restart misses nothing and repeats nothing.

usage: feed.py [ADDRESS] [CURSOR_FILE]     needs: pip install grpcio grpcio-reflection protobuf
The messages come by gRPC reflection: no generated code is needed.
"""
import pathlib
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

METHOD = "/quell.v1.Quell/WatchIncidents"


def follow(address, cursor_file):
    channel = grpc.insecure_channel(address)
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName("quell.v1.Quell").FindMethodByName("WatchIncidents")
    request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    watch = channel.unary_stream(METHOD, request_class.SerializeToString, response_class.FromString)
    start = {"cursor": cursor_file.read_text()} if cursor_file.exists() else {"beginning": True}
    for update in watch(request_class(**start)):
        incident = update.incident
        state = type(incident).State.Name(incident.state)
        print(f"{incident.number} r{incident.revision} P{incident.priority} {state}: {incident.title}", flush=True)
        # Here a ticket would be written, under (incident.name, incident.revision); only then the cursor moves.
        cursor_file.write_text(update.cursor)


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7117"
    try:
        follow(address, pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "quell.cursor"))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    except KeyboardInterrupt:
        pass
