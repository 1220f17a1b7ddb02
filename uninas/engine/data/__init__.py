"""Small data sets in the real formats, and checks of a data set before a run."""
