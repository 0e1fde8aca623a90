#!/usr/bin/env python3
"""Writes the API reference, the public names of `easy_to_hard`, as HTML: ``python .ci/docs.py FOLDER``."""

import sys
import warnings
from pathlib import Path

import pdoc

import easy_to_hard

if __name__ == "__main__":
    # pdoc looks for names, and these are imported when they are first used.
    vars(easy_to_hard).update({name: getattr(easy_to_hard, name) for name in easy_to_hard.__all__})
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("easy_to_hard", output_directory=Path(sys.argv[1]))
