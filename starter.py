"""The command line: run, watch, cancel and others (see `cli/`)."""

from cli.main import main

if __name__ == "__main__":
    main()
