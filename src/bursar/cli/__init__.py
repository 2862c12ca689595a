"""The `bursar` command: one module per command group, each parse → call → print."""
