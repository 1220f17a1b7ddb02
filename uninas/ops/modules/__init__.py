"""The torch modules that operations build where torch has none of its own.

Nothing here is imported before something is built: `build` of an operation does it. Graphs, their costs and a search's
moves need the declarations alone, and those load in an instant.
"""
