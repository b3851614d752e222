"""`make new`: Copier itself, except that what it cannot use is told in one line. Standard library only."""

import runpy
import sys

try:
    runpy.run_module("copier", run_name="__main__", alter_sys=True)
except (OSError, ValueError) as error:  # Copier ends in a traceback when an answer or the folder is not fit
    print(f"make new: {error}", file=sys.stderr)
    sys.exit(2)
