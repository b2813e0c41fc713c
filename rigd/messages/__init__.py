"""What rigd says and hears: one set of typed messages for every transport, and the documents made from them.

Pure: no clock, no I/O. `verbs` has the commands, `reports` what comes back, `topics` the names, `contract` the whole as a table.
"""
