"""`python -m app`: the command line. The service is loaded by name when a command needs it."""

from app.chassis.cli import main

if __name__ == "__main__":
    main()
