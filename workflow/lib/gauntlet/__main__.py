"""`python -m gauntlet`: the command line."""

from gauntlet.cli.main import main

if __name__ == "__main__":
    main()
