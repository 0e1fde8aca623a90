"""The packages of the distribution; everything else is in pyproject.toml.

Three of them are links to folders beside easy_to_hard. They are packed from those folders, so that it makes no
difference whether git has made the links, which on Windows it does not by default.
"""

from setuptools import find_packages, setup

LINKED = ("generators", "baselines", "leaderboard")

own = find_packages(include=["easy_to_hard*"], exclude=[f"easy_to_hard.{name}*" for name in LINKED])
linked = find_packages(include=[f"{name}*" for name in LINKED])
setup(
    packages=own + [f"easy_to_hard.{name}" for name in linked],
    package_dir={f"easy_to_hard.{name}": name for name in LINKED},
)
