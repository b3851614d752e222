"""Serves a yardstick as the service is served: the same uvicorn, nothing of its own on. BENCH_PORT says where."""

import os

import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI) -> None:
    """Serve until the process is told to stop."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="warning",
    )
