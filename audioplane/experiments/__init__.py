"""The paper's tables as data: rows are changes of a config, runs are cached records, nothing is typed by hand.

`tables` says what is compared, `runs` makes one run, `runner` all of them, `results` sets ours beside the paper's.
"""
