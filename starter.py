"""The command line: run, watch, cancel, status, validate, demo ... (`cli/` has the commands)."""

from cli.main import main

if __name__ == "__main__":
    main()
