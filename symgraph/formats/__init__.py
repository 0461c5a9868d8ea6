"""Files: symbol JSON with its older versions, parameter files, and how a file is saved without ever being half written.

`symbol_json` reads and writes the text of a graph as a `Document`, which knows nothing of operators; `upgrade` brings
a document of an older version up to date; `params` reads and writes named arrays; `atomic` is the way in which every
file of this package is written.

Files are data: nothing here evaluates what it reads, every size is compared with the length of the file before memory
is taken, and every fault of a file is a `symgraph.errors.FormatError` that says where it is. What does not belong
here: what an operator's attributes mean, and how a document becomes a graph.
"""
