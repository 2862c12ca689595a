"""`python -m bursar` is the `bursar` command."""

from bursar.cli.main import main

main()
