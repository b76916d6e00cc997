"""Moto's S3 server, which answers uploads of parts with an error while a file says so: `STATUS NUMBER-OF-TIMES`."""

import sys
from pathlib import Path

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

port, faults = int(sys.argv[1]), Path(sys.argv[2])
moto = DomainDispatcherApplication(create_backend_app)


def serve(environ, start_response):
    is_later_part = environ["REQUEST_METHOD"] == "PUT" and "partNumber=2" in environ.get("QUERY_STRING", "")
    if is_later_part and faults.exists():
        status, times = faults.read_text().split()
        if int(times):
            faults.write_text(f"{status} {int(times) - 1}")
            start_response(f"{status} fault", [("Content-Type", "application/xml")])
            return [b"<Error><Code>Fault</Code><Message>as the test wants it</Message></Error>"]
    return moto(environ, start_response)


run_simple("127.0.0.1", port, serve, threaded=True)
