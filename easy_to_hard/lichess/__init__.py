"""The puzzle database of Lichess: downloaded, and converted to graded datasets.

- `download`: downloads the file
- `convert`: reads, checks, sorts and writes it, with the help of `reading` (bytes to lines), `csv_rows` (kernels on
  lines), `rows` (lines to Arrow), `sorting`, `bands` and `plane_files` (the two forms of output), `folders` and `card`
"""
