"""The `hz3` command: one module per sub-command. Only this folder prints.

Nothing is imported here, so that `hz3 run` starts without click, rich or pandas.
"""
